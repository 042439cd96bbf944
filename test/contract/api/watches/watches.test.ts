import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { trimChanges } from "../../../../src/api/maintenance/retention.ts";
import { watchesBehind } from "../../../../src/api/watches/metrics.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type {
  WatchMachinesRequest,
  WatchMachinesResponse,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { type TestApi, World } from "../fixture.ts";
import { idsOf, Reporter } from "./fixture.ts";
import { Watcher } from "./watcher.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;
let other: TestApi;
let host: Reporter;
let watchers: Watcher[] = [];

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  other = await world.api();
  await api.user.createApp("web");
  await api.user.createApp("jobs");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("update hosts set applied_sequence = 0");
  host = new Reporter(world);
});
afterEach(async () => {
  await Promise.all(watchers.map((watcher) => watcher.close()));
  watchers = [];
});

function watch(request: Partial<WatchMachinesRequest> = {}, from: Clients = api.user): Watcher {
  const watcher = new Watcher(from, request);
  watchers.push(watcher);
  return watcher;
}

/** Begins a watch, and waits until it has the present states. */
async function watching(request: Partial<WatchMachinesRequest> = {}, from?: Clients): Promise<Watcher> {
  const watcher = watch(request, from);
  await expect.poll(() => watcher.position).not.toBe("");
  return watcher;
}

async function create(app = "web"): Promise<Machine> {
  const { machine } = await api.user.create({ app });
  if (!machine) throw new Error("no machine");
  return machine;
}

describe("a watch", () => {
  test("begins with what is now, and tells every change once with its event, in its order", async () => {
    const machine = await create();
    const watcher = await watching();
    const atFirst = [...watcher.told];

    const changes = [MachineState.STARTING, MachineState.STARTED, MachineState.STOPPED].map((state) =>
      host.change(machine, state),
    );
    await host.report(api, changes);

    await expect.poll(() => watcher.told.length).toBe(4);
    expect(atFirst).toEqual([
      { id: machine.id, state: MachineState.CREATED, generation: machine.generation, event: undefined },
    ]);
    expect(watcher.told.slice(1).map(({ state }) => state)).toEqual([
      MachineState.STARTING,
      MachineState.STARTED,
      MachineState.STOPPED,
    ]);
    expect(watcher.eventIds).toEqual(idsOf(changes));
  });

  test("is of machines, of an app or of the organisation, those created later too, and of nobody else's", async () => {
    const [web, job] = [await create("web"), await create("jobs")];
    const stranger = await api.as("other", ["machines:read"]);
    const [one, app, all, none] = [
      await watching({ machineIds: [job.id] }),
      await watching({ app: "web" }),
      await watching(),
      await watching({}, stranger),
    ];
    const later = await create("web");
    const events = [web, job, later].map((machine) => host.change(machine));
    const [ofWeb, ofJob, ofLater] = idsOf(events);

    await host.report(other, events);

    await expect.poll(() => all.eventIds).toEqual([ofWeb, ofJob, ofLater]);
    await expect.poll(() => app.eventIds).toEqual([ofWeb, ofLater]);
    await expect.poll(() => one.eventIds).toEqual([ofJob]);
    expect(none.told).toEqual([]);
    expect(app.told[0]?.id).toBe(web.id);
    await none.close();
    stranger.close();
  });

  test("goes on at another api after its position: nothing is lost, and nothing comes twice", async () => {
    const machine = await create();
    const first = await watching();
    const before = [host.change(machine), host.change(machine)];
    await host.report(api, before);
    await expect.poll(() => first.eventIds).toEqual(idsOf(before));
    await first.close();
    const missed = [host.change(machine), host.change(machine)];
    await host.report(api, missed);

    const second = watch({ afterPosition: first.position }, other.user);
    await expect.poll(() => second.eventIds).toEqual(idsOf(missed));
    const live = host.change(machine);
    await host.report(api, [live]);

    await expect.poll(() => second.eventIds).toEqual(idsOf([...missed, live]));
    expect(second.told).toHaveLength(3);
  });

  test("goes on after any message, whichever api it is at, while hosts report to all", async () => {
    const machine = await create();
    const begun = await watching();
    await begun.close();
    const told: string[] = [];
    let position = begun.position;
    const sent: string[] = [];
    const reporting = (async () => {
      for (let i = 0; i < 30; i++) {
        const events = Array.from({ length: 1 + (i % 4) }, () => host.change(machine));
        await host.report(i % 2 === 0 ? api : other, events);
        sent.push(...idsOf(events));
      }
    })();
    let isOver = false;
    void reporting.finally(() => {
      isOver = true;
    });

    for (let turn = 0; !isOver || told.length < sent.length; turn++) {
      const watcher = watch({ afterPosition: position }, (turn % 2 === 0 ? other : api).user);
      await expect.poll(() => watcher.messages).toBeGreaterThan(0);
      await watcher.close();
      told.push(...watcher.eventIds);
      position = watcher.position;
    }
    await reporting;

    expect(told).toEqual(sent);
  });

  test("has the changes of a transaction that commits after a later one", async () => {
    const machine = await create();
    const watcher = await watching();
    const client = new pg.Client({ connectionString: world.database.url });
    await client.connect();
    await client.query("begin");
    await client.query(
      `insert into machine_changes (machine_id, org, app, status, event)
       values ($1, 'personal', 'web', $2, $3)`,
      [
        machine.id,
        JSON.stringify({ id: machine.id, state: "started", generation: "50", updateTimeMs: 1 }),
        JSON.stringify({
          id: "early",
          type: "start",
          status: "started",
          source: "user",
          timeMs: 1,
          message: "",
          reason: "",
        }),
      ],
    );
    const change = host.change(machine);
    await host.report(api, [change]);
    const begunMeanwhile = watch();
    await expect.poll(() => begunMeanwhile.messages).toBeGreaterThan(0);
    expect(watcher.eventIds).toEqual([]);
    expect(begunMeanwhile.position).toBe("");

    await client.query("commit");
    await client.end();

    await expect.poll(() => watcher.eventIds).toEqual(["early", ...idsOf([change])]);
    await expect.poll(() => begunMeanwhile.eventIds).toEqual(["early"]);
    await expect.poll(() => begunMeanwhile.position).not.toBe("");
  });

  test("that is slower than its changes is told all of them, each once", async () => {
    const machine = await create();
    const slow = await api.as("personal", ["machines:read"]);
    const { machines } = slow;
    const request = { machineIds: [machine.id], app: "", afterPosition: "" };
    const stream = machines.watchMachines(request);
    const told: string[] = [];
    const firstly = Promise.withResolvers<void>();
    stream.once("data", () => {
      stream.pause();
      firstly.resolve();
    });
    await firstly.promise;
    const fast = await watching({ machineIds: [machine.id] });
    const sent: string[] = [];
    for (let batch = 0; batch < 12; batch++) {
      const events = Array.from({ length: 400 }, () => host.change(machine));
      await host.report(api, events);
      sent.push(...idsOf(events));
    }
    await expect.poll(() => fast.eventIds.length, { timeout: 20_000 }).toBe(sent.length);

    stream.on("error", () => {});
    stream.on("data", ({ changes }: WatchMachinesResponse) => {
      told.push(...changes.flatMap(({ event }) => event?.id ?? []));
    });
    stream.resume();

    await expect.poll(() => told.length, { timeout: 20_000 }).toBe(sent.length);
    expect(told).toEqual(sent);
    expect((await watchesBehind.get()).values[0]?.value).toBeGreaterThan(0);
    stream.cancel();
    slow.close();
  });

  test("tells that a machine is gone whose create was undone", async () => {
    const watcher = await watching();
    world.host(1).after("createMachine", async (id) => {
      const [row] = await world.sql<{ n: number }>(
        `update machines set snapshot = '{"id": "x"}', generation = 1 where id = $1 returning 1 as n`,
        [id],
      );
      expect(row?.n).toBe(1);
      throw new Error("the answer is lost");
    });
    expect(await faultOf(api.user.create())).toMatchObject({ reason: "HOST_UNREACHABLE" });

    const rows = await world.sql<{ machine_id: string }>(
      "select machine_id from machine_changes where status ->> 'state' = 'destroyed'",
    );
    await expect
      .poll(() => watcher.told.map(({ id, state }) => [id, state]))
      .toContainEqual([rows.at(-1)?.machine_id, MachineState.DESTROYED]);
    expect(rows).toHaveLength(1);
  });

  test("ends with its api, and the client goes on at another", async () => {
    const machine = await create();
    const going = await world.api();
    const watcher = await watching({}, going.user);
    await going.close();
    expect(await watcher.ended).toMatchObject({ reason: "SERVER_DRAINING" });

    const change = host.change(machine);
    await host.report(other, [change]);
    const next = watch({ afterPosition: watcher.position }, other.user);

    await expect.poll(() => next.eventIds).toEqual(idsOf([change]));
  });
});

describe("a watch is refused", () => {
  test("when it names what there is not, or nonsense", async () => {
    const fault = (request: Partial<WatchMachinesRequest>) => watch(request).ended;
    const machine = await create();
    const stranger = await api.as("other", ["machines:read"]);

    expect(await fault({ app: "nowhere" })).toMatchObject({ reason: "APP_NOT_FOUND" });
    expect(await fault({ machineIds: [machine.id, "00001abcdef123"] })).toMatchObject({
      reason: "MACHINE_NOT_FOUND",
      facts: { machine_id: "00001abcdef123" },
    });
    expect(await watch({ machineIds: [machine.id] }, stranger).ended).toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
    expect(await fault({ app: "-", machineIds: ["x"], afterPosition: "?" })).toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "machine_ids,app,after_position" },
    });
    stranger.close();
  });

  test("when changes after its position are not kept any more, or never were", async () => {
    const machine = await create();
    const watcher = await watching();
    await host.report(api, [host.change(machine)]);
    await expect.poll(() => watcher.eventIds.length).toBe(1);
    await watcher.close();
    const later = host.change(machine);
    await host.report(api, [later]);
    const { position } = watcher;

    expect(await trimmed()).toBe(false);
    await world.sql("update machine_changes set create_time = now() - interval '2 hours'");
    expect(await trimmed()).toBe(true);

    expect(await watch({ afterPosition: position }).ended).toMatchObject({ reason: "POSITION_TOO_OLD" });
    expect(await watch({ afterPosition: "zzzzzzzzzzz-0" }).ended).toMatchObject({
      reason: "POSITION_TOO_OLD",
    });
    const anew = await watching();
    expect(anew.told.map(({ id }) => id)).toEqual([machine.id]);
  });

  /** Trims the log of changes. Returns whether that left none. */
  async function trimmed(): Promise<boolean> {
    await trimChanges(api.database);
    return (await world.sql("select 1 from machine_changes")).length === 0;
  }
});

test("a watch counts as a stream of its organisation", async () => {
  const own = await world.api({ inProgressLimits: { calls: 8, streams: 1 } });
  const first = await watching({}, own.user);

  expect(await watch({}, own.user).ended).toMatchObject({ reason: "TOO_MANY_STREAMS" });
  await first.close();
  await own.close();
});

test("destroying a machine is told", async () => {
  const machine = await create();
  const watcher = await watching({ app: "web" });
  const { machines } = api.user;

  await call(
    machines,
    machines.destroyMachine,
    { machineId: machine.id, force: true, leaseNonce: "" },
    LIMIT,
  );
  await host.report(api, [host.change(machine, MachineState.DESTROYED)]);

  await expect.poll(() => watcher.told.at(-1)?.state).toBe(MachineState.DESTROYED);
});
