import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
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
beforeEach(() => world.clear());

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

test("a create is refused while the database is away", async () => {
  const lonely = await world.api({ databaseUrl: "postgres:///none?host=/nonexistent", knowsHosts: false });

  expect(await faultOf(lonely.user.create())).toMatchObject({
    code: "UNAVAILABLE",
    reason: "DATABASE_UNAVAILABLE",
  });
  const list = ListMachinesRequest.create();
  const listing = call(lonely.user.machines, lonely.user.machines.listMachines, list, { timeoutMs: 20_000 });
  expect(await faultOf(listing)).toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
});

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
