import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { resolveInDoubt } from "../../../../src/api/creates/resolve-in-doubt.ts";
import { SagaStore } from "../../../../src/api/creates/store/saga-store.ts";
import { applyRetention } from "../../../../src/api/maintenance/retention.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import type { World } from "../fixture.ts";
import { CreateWorld } from "./fixture.ts";

let creates: CreateWorld;
let world: World;
let sagas: SagaStore;

beforeAll(async () => {
  creates = await CreateWorld.open();
  world = creates.world;
  sagas = new SagaStore(creates.database);
});
beforeEach(() => world.clear());
afterAll(() => creates.close());

function resolve(): Promise<void> {
  return resolveInDoubt({ sagas, hostd: creates.hostd }, new AbortController().signal);
}

function dead(): never {
  throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "the host has died");
}

/** Host 1 makes the machine and dies before it says so; it is not back when it is told that nobody wants it. */
function dieInTheAward(): void {
  world.host(1).after("createMachine", dead);
  world.host(1).before("destroyMachine", dead);
}

/** Time passes: so long since all creates have ended, and what they left in doubt is due. */
async function later(ms: number): Promise<void> {
  await world.sql(
    "update sagas set resolve_time = now() - interval '1 second', update_time = now() - $1 * interval '1 millisecond' where resolve_time is not null",
    [ms],
  );
}

async function inDoubt(): Promise<number> {
  return (await world.sql("select 1 from sagas where resolve_time is not null")).length;
}

test("another api removes what a host has made that died in the award, long before a sweep would", async () => {
  const first = await world.api({ reconcileMs: 60_000 });
  dieInTheAward();
  const { machine } = await first.user.create();
  await first.close();
  expect(machine?.id).toMatch(/^00002/);
  expect(world.host(1).machines.size).toBe(1);
  expect(await inDoubt()).toBe(1);

  // Without sweeps.
  const second = await world.api();

  await expect.poll(() => world.onHosts.map(({ id }) => id)).toEqual([machine?.id]);
  await second.close();
});

test("a create waits for none of it", async () => {
  dieInTheAward();

  const { machine } = await creates.api().create();

  expect(machine?.id).toMatch(/^00002/);
  expect(await world.sql("select status from sagas where resolve_time > now()")).toEqual([
    { status: "done" },
  ]);
});

test("it is in doubt until the host has said so after the last moment at which an award could arrive", async () => {
  dieInTheAward();
  await creates.api().create();
  const award = [...world.host(1).machines.entries()];

  await later(2_000);
  await resolve();
  expect(world.host(1).machines.size).toBe(0);
  expect(await inDoubt()).toBe(1);
  // The award comes only now.
  for (const [id, machine] of award) world.host(1).machines.set(id, machine);
  await later(9_000);
  await resolve();

  expect(world.host(1).machines.size).toBe(0);
  expect(await inDoubt()).toBe(0);
});

test("a host that is away is asked again, by one api at a time, and its create is kept until then", async () => {
  dieInTheAward();
  await creates.api().create();
  world.host(1).before("destroyMachine", dead);
  await later(26 * 3_600_000);
  const calls = () => world.host(1).calls.filter((method) => method === "destroyMachine").length;
  await world.sql("update sagas set update_time = now() - interval '10 hours'");
  const asked = calls();

  await Promise.all([resolve(), resolve()]);

  expect(calls()).toBe(asked + 1);
  expect(await world.sql("select resolve_time > now() + interval '4 minutes' as waits from sagas")).toEqual([
    { waits: true },
  ]);
  await later(26 * 3_600_000);
  await applyRetention(creates.database);
  expect(await inDoubt()).toBe(1);
  await resolve();
  await applyRetention(creates.database);
  expect(world.host(1).machines.size).toBe(0);
  expect(await world.sql("select 1 from sagas")).toEqual([]);
});

test("a create that failed leaves doubts too, and one whose hosts all answered none", async () => {
  world.host(2).before("createMachine", () => {
    throw new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", "full");
  });
  world.host(1).after("createMachine", dead);
  await expect(creates.api().create()).rejects.toMatchObject({ reason: "NO_CAPACITY" });

  expect(await world.sql("select status from sagas where resolve_time is not null")).toEqual([
    { status: "failed" },
  ]);
  expect(world.onHosts).toEqual([]);

  await world.clear();
  await creates.api().create();
  expect(await inDoubt()).toBe(0);
});
