import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { type Clients, faultOf } from "../clients.ts";
import { NOTHING_LEFT, type TestApi, World } from "../fixture.ts";

let world: World;
let one: TestApi;
let other: TestApi;

beforeAll(async () => {
  world = await World.open();
  one = await world.api();
  other = await world.api();
  await one.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await standing("good");
  await quota(100, 65_536);
});

describe("an organisation", () => {
  test.each([
    ["past_due", "ORG_PAST_DUE"],
    ["banned", "ORG_BANNED"],
  ])("that is %s creates nothing, and no host is asked", async (how, reason) => {
    await standing(how);

    const fault = await faultOf(one.user.create());

    expect(fault).toMatchObject({ code: "PERMISSION_DENIED", reason, facts: { org: "personal" } });
    expect(world.images.asked + world.scheduler.calls.length).toBe(world.images.asked);
    expect(await world.leftovers()).toEqual(NOTHING_LEFT);
  });

  test("that uses all its machines is told how many", async () => {
    await quota(1, 65_536);
    await one.user.create();

    expect(await faultOf(one.user.create())).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "QUOTA_MACHINES",
      facts: { used: "1", limit: "1", asked: "1" },
    });
  });

  test("that asks for more memory than it may have is told how much", async () => {
    await quota(10, 512);
    await one.user.create();

    expect(await faultOf(one.user.create({ config: { guest: { memoryMb: 512 } } }))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "QUOTA_MEMORY",
      facts: { used: "256", limit: "512", asked: "512" },
    });
  });

  test("never gets more than its quota, however many ask at once, wherever", async () => {
    await quota(3, 65_536);
    const asked = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? one : other).user.create());

    const results = await Promise.allSettled(asked);

    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(3);
    const reasons = results.flatMap((r) =>
      r.status === "rejected" && r.reason instanceof Fault ? [r.reason.reason] : [],
    );
    expect(new Set(reasons)).toEqual(new Set(["QUOTA_MACHINES"]));
    expect(world.onHosts).toHaveLength(3);
  });

  test("has its quota back after a create that failed", async () => {
    await quota(1, 256);
    world.host(1).before("prepareMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "no archive");
    });
    await faultOf(one.user.create());

    await one.user.create();

    expect(world.onHosts).toHaveLength(1);
  });
});

describe("a request id", () => {
  test("stands for one machine, however many ask at once, wherever", async () => {
    const asked = Array.from({ length: 8 }, (_, i) =>
      (i % 2 === 0 ? one : other).user.create({ requestId: "r1" }),
    );

    const answers = await Promise.all(asked);

    expect(new Set(answers.map((answer) => answer.machine?.id)).size).toBe(1);
    expect(answers.filter((answer) => !answer.repeated)).toHaveLength(1);
    expect(world.onHosts).toHaveLength(1);
  });

  test("gives the same machine later", async () => {
    const first = await one.user.create({ requestId: "r1" });
    const second = await other.user.create({ requestId: "r1" });

    expect(second.repeated).toBe(true);
    expect(second.machine?.id).toBe(first.machine?.id);
  });

  test("does not stand for another request", async () => {
    await one.user.create({ requestId: "r1" });

    const fault = await faultOf(one.user.create({ requestId: "r1", config: { image: "httpd" } }));

    expect(fault).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "REQUEST_ID_REUSED",
      facts: { request_id: "r1" },
    });
  });

  test("is free again after a create that failed, and all who waited hear why", async () => {
    const corrupt = new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "no archive", { layer: "sha256:1" });
    const prepare = pauseIn("prepareMachine", corrupt);
    const first = faultOf(one.user.create({ requestId: "r1" }));
    await prepare.entered;
    const [now] = await world.sql<{ time: Date }>("select clock_timestamp() as time");
    const second = faultOf(other.user.create({ requestId: "r1" }));
    await expect.poll(() => whoWaits(now?.time)).not.toEqual([]);
    prepare.leave();

    expect(await first).toMatchObject({ reason: "LAYER_CORRUPT", facts: { layer: "sha256:1" } });
    expect((await second).reason).toBe("LAYER_CORRUPT");
    expect((await one.user.create({ requestId: "r1" })).repeated).toBe(false);
  });

  test("lets the create go on when its caller goes away", async () => {
    const gone = new AbortController();
    world.host(1).before("prepareMachine", () => gone.abort());

    expect(await faultOf(one.user.create({ requestId: "r1" }, gone.signal))).toMatchObject({
      code: "CANCELLED",
    });

    expect((await other.user.create({ requestId: "r1" })).repeated).toBe(true);
    expect(world.onHosts).toHaveLength(1);
  });

  test("missing, a caller that goes away takes the create along", async () => {
    const gone = new AbortController();
    const cancelled = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", async () => {
      gone.abort();
      await cancelled.promise;
    });

    await faultOf(one.user.create({}, gone.signal));

    await expect.poll(() => world.leftovers()).toEqual(NOTHING_LEFT);
    cancelled.resolve();
  });
});

describe("an api that shuts down in the middle of a create", () => {
  test("leaves it to another, which goes on at once", async () => {
    const going = await world.api();
    const prepare = pauseIn("prepareMachine");
    const lost = faultOf(going.user.create({ requestId: "r1" }));
    await prepare.entered;
    const closed = going.close();

    const { machine, repeated } = await one.user.create({ requestId: "r1" });
    prepare.leave();
    await closed;

    expect(await lost).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING", retryAfterMs: 1_000 });
    expect(repeated).toBe(true);
    expect(world.onHosts.map((each) => each.id)).toEqual([machine?.id]);
  });
});

describe("watching a create", () => {
  const STEPS = ["preflight", "resolve", "reserve", "award", "release", "prepare", "commit", "launch"];

  test.each([
    ["the api that runs it", () => one],
    ["another api", () => other],
  ] as const)("from %s shows every step and ends with it", async (_, watcher) => {
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", () => leave.promise);
    const watching = watch(watcher().user, "r1", (step) => {
      if (step === "prepare running") leave.resolve();
    });
    const creating = one.user.create({ requestId: "r1" });

    const seen = await watching;
    await creating;

    expect(seen.filter((line) => line.endsWith(" done")).map((line) => line.split(" ")[0])).toEqual(STEPS);
    expect(seen).toContain("prepare running");
  });

  test("shows how far a step is", async () => {
    const details: string[] = [];
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", () => leave.promise);
    const creating = one.user.create({ requestId: "r1" });

    const request = { requestId: "r1" };
    for await (const message of openStream(one.user.machines, one.user.machines.watchCreate, request, {
      timeoutMs: 20_000,
    })) {
      details.push(`${message.detail} ${message.bytesDone}/${message.bytesTotal}`);
      if (message.bytesDone > 0n) leave.resolve();
    }
    await creating;

    expect(details).toContain("pulling 1 of 2 layers 5/10");
  });

  test("shows what failed, and what was taken back", async () => {
    world.host(1).before("prepareMachine", () => {
      throw new Fault("FAILED_PRECONDITION", "LAYER_CORRUPT", "layer 2 is no archive");
    });
    const creating = faultOf(one.user.create({ requestId: "r1" }));

    const seen = await watch(one.user, "r1");
    await creating;

    expect(seen).toContain("prepare failed");
    expect(seen.at(-1)).toBe("preflight undone");
  });

  test("still works once it has ended, and says when there is none", async () => {
    await one.user.create({ requestId: "r1" });

    expect((await watch(one.user, "r1")).at(-1)).toBe("launch done");
    expect(await faultOf(watch(one.user, "none"))).toMatchObject({
      code: "NOT_FOUND",
      reason: "CREATE_NOT_FOUND",
    });
    expect(await faultOf(watch(one.user, "not valid"))).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  async function watch(client: Clients, requestId: string, see: (line: string) => void = () => {}) {
    const lines: string[] = [];
    const { machines } = client;
    for await (const message of openStream(
      machines,
      machines.watchCreate,
      { requestId },
      { timeoutMs: 20_000 },
    )) {
      const line = `${message.step} ${message.status}`;
      lines.push(line);
      see(line);
    }
    return lines;
  }
});

test("a create is refused while the database is away", async () => {
  const lonely = await world.api({ databaseUrl: "postgres:///none?host=/nonexistent", knowsHosts: false });

  expect(await faultOf(lonely.user.create())).toMatchObject({
    code: "UNAVAILABLE",
    reason: "DATABASE_UNAVAILABLE",
  });
  const list = { app: "", states: [], pageSize: 0, pageToken: "" };
  const listing = call(lonely.user.machines, lonely.user.machines.listMachines, list, { timeoutMs: 20_000 });
  expect(await faultOf(listing)).toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
});

async function standing(value: string): Promise<void> {
  await world.sql("update organizations set standing = $1 where slug = 'personal'", [value]);
}

async function quota(machines: number, memoryMb: number): Promise<void> {
  const values = [machines, memoryMb];
  await world.sql(
    "update organizations set quota_machines = $1, quota_memory_mb = $2 where slug = 'personal'",
    values,
  );
}

/** Connections over which an api has asked, since then, how a create of another api is going. */
function whoWaits(since: Date | undefined) {
  return world.sql(
    `select pid from pg_stat_activity
      where datname = current_database() and query_start > $1 and query like 'select%from sagas where id = $1'`,
    [since],
  );
}

/** Makes the next call of host 1 wait inside, until it is let go, then fail with `fault` if there is one. */
function pauseIn(method: string, fault?: Fault) {
  const entered = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  world.host(1).before(method, async () => {
    entered.resolve();
    await left.promise;
    if (fault) throw fault;
  });
  return { entered: entered.promise, leave: () => left.resolve() };
}
