import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { watchesBehind } from "../../../../src/api/watches/metrics.ts";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import type { WatchMachinesResponse } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { idsOf, WatchedWorld } from "./fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let watched: WatchedWorld;

beforeAll(async () => {
  watched = await WatchedWorld.open();
});
afterAll(() => watched.close());
beforeEach(() => watched.clear());
afterEach(() => watched.closeWatches());

describe("a watch", () => {
  test("begins with what is now, and tells every change once with its event, in its order", async () => {
    const machine = await watched.create();
    const watcher = await watched.watching();
    const atFirst = [...watcher.told];

    const changes = [MachineState.STARTING, MachineState.STARTED, MachineState.STOPPED].map((state) =>
      watched.host.change(machine, state),
    );
    await watched.host.report(watched.api, changes);

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
    const [web, job] = [await watched.create("web"), await watched.create("jobs")];
    const stranger = await watched.api.as("other", ["machines:read"]);
    const [one, app, all, none] = [
      await watched.watching({ machineIds: [job.id] }),
      await watched.watching({ app: "web" }),
      await watched.watching(),
      await watched.watching({}, stranger),
    ];
    const later = await watched.create("web");
    const events = [web, job, later].map((machine) => watched.host.change(machine));
    const [ofWeb, ofJob, ofLater] = idsOf(events);

    await watched.host.report(watched.other, events);

    await expect.poll(() => all.eventIds).toEqual([ofWeb, ofJob, ofLater]);
    await expect.poll(() => app.eventIds).toEqual([ofWeb, ofLater]);
    await expect.poll(() => one.eventIds).toEqual([ofJob]);
    expect(none.told).toEqual([]);
    expect(app.told[0]?.id).toBe(web.id);
    await none.close();
    stranger.close();
  });

  test("goes on at another api after its position: nothing is lost, and nothing comes twice", async () => {
    const machine = await watched.create();
    const first = await watched.watching();
    const before = [watched.host.change(machine), watched.host.change(machine)];
    await watched.host.report(watched.api, before);
    await expect.poll(() => first.eventIds).toEqual(idsOf(before));
    await first.close();
    const missed = [watched.host.change(machine), watched.host.change(machine)];
    await watched.host.report(watched.api, missed);

    const second = watched.watch({ afterPosition: first.position }, watched.other.user);
    await expect.poll(() => second.eventIds).toEqual(idsOf(missed));
    const live = watched.host.change(machine);
    await watched.host.report(watched.api, [live]);

    await expect.poll(() => second.eventIds).toEqual(idsOf([...missed, live]));
    expect(second.told).toHaveLength(3);
  });

  test("goes on after any message, whichever api it is at, while hosts report to all", async () => {
    const machine = await watched.create();
    const begun = await watched.watching();
    await begun.close();
    const told: string[] = [];
    let position = begun.position;
    const sent: string[] = [];
    const reporting = (async () => {
      for (let i = 0; i < 30; i++) {
        const events = Array.from({ length: 1 + (i % 4) }, () => watched.host.change(machine));
        await watched.host.report(i % 2 === 0 ? watched.api : watched.other, events);
        sent.push(...idsOf(events));
      }
    })();
    let isOver = false;
    void reporting.finally(() => {
      isOver = true;
    });

    for (let turn = 0; !isOver || told.length < sent.length; turn++) {
      const watcher = watched.watch(
        { afterPosition: position },
        (turn % 2 === 0 ? watched.other : watched.api).user,
      );
      // With nothing left to tell it may say nothing for a minute.
      const isDone = () => watcher.messages > 0 || (isOver && told.length === sent.length);
      await expect.poll(isDone).toBe(true);
      await watcher.close();
      told.push(...watcher.eventIds);
      position = watcher.position;
    }
    await reporting;

    expect(told).toEqual(sent);
  });

  test("has the changes of a transaction that commits after a later one", async () => {
    const machine = await watched.create();
    const watcher = await watched.watching();
    const client = new pg.Client({ connectionString: watched.world.database.url });
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
    const change = watched.host.change(machine);
    await watched.host.report(watched.api, [change]);
    const begunMeanwhile = watched.watch();
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
    const machine = await watched.create();
    const slow = await watched.api.as("personal", ["machines:read"]);
    const { machines } = slow;
    const request = { machineIds: [machine.id], app: "", afterPosition: "" };
    const stream = machines.watchMachines(request);
    const told: string[] = [];
    const timesBehind = async () => (await watchesBehind.get()).values[0]?.value ?? 0;
    const timesBefore = await timesBehind();
    const firstly = Promise.withResolvers<void>();
    stream.once("data", () => {
      stream.pause();
      firstly.resolve();
    });
    await firstly.promise;
    const fast = await watched.watching({ machineIds: [machine.id] });
    const sent: string[] = [];
    for (let batch = 0; batch < 12; batch++) {
      const events = Array.from({ length: 400 }, () => watched.host.change(machine));
      await watched.host.report(watched.api, events);
      sent.push(...idsOf(events));
    }
    await expect.poll(() => fast.eventIds.length).toBe(sent.length);

    stream.on("error", () => {});
    stream.on("data", ({ changes }: WatchMachinesResponse) => {
      told.push(...changes.flatMap(({ event }) => event?.id ?? []));
    });
    stream.resume();

    await expect.poll(() => told.length).toBe(sent.length);
    expect(told).toEqual(sent);
    expect(await timesBehind()).toBeGreaterThan(timesBefore);
    stream.cancel();
    slow.close();
  });

  test("tells that a machine is gone whose create was undone", async () => {
    const watcher = await watched.watching();
    let undone = "";
    watched.world.host(1).after("createMachine", async (id) => {
      undone = id;
      const [row] = await watched.world.sql<{ n: number }>(
        `update machines set snapshot = '{"id": "x"}', generation = 1 where id = $1 returning 1 as n`,
        [id],
      );
      expect(row?.n).toBe(1);
      throw new Error("the answer is lost");
    });
    expect(await faultOf(watched.api.user.create())).toMatchObject({ reason: "HOST_UNREACHABLE" });

    await expect
      .poll(() => watcher.told.map(({ id, state }) => [id, state]))
      .toContainEqual([undone, MachineState.DESTROYED]);
    const rows = await watched.world.sql(
      "select 1 from machine_changes where machine_id = $1 and status ->> 'state' = 'destroyed'",
      [undone],
    );
    expect(rows).toHaveLength(1);
  });

  test("ends with its api, and the client goes on at another", async () => {
    const machine = await watched.create();
    const going = await watched.world.api();
    const watcher = await watched.watching({}, going.user);
    await going.close();
    expect(await watcher.ended).toMatchObject({ reason: "SERVER_DRAINING" });

    const change = watched.host.change(machine);
    await watched.host.report(watched.other, [change]);
    const next = watched.watch({ afterPosition: watcher.position }, watched.other.user);

    await expect.poll(() => next.eventIds).toEqual(idsOf([change]));
  });
});

test("destroying a machine is told", async () => {
  const machine = await watched.create();
  const watcher = await watched.watching({ app: "web" });
  const { machines } = watched.api.user;

  await call(
    machines,
    machines.destroyMachine,
    { machineId: machine.id, force: true, leaseNonce: "" },
    LIMIT,
  );
  await watched.host.report(watched.api, [watched.host.change(machine, MachineState.DESTROYED)]);

  await expect.poll(() => watcher.told.at(-1)?.state).toBe(MachineState.DESTROYED);
});
