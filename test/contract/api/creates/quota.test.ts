import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Fault } from "../../../../src/lib/faults/fault.ts";

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

/** Sets the standing, and waits until both apis have read it. */
async function standing(value: string): Promise<void> {
  await world.sql("update organizations set standing = $1 where slug = 'personal'", [value]);
  const known = () => [one, other].map(({ revocations }) => revocations.isSuspended("personal"));
  await expect.poll(known).toEqual([value === "banned", value === "banned"]);
}

async function quota(machines: number, memoryMb: number): Promise<void> {
  const values = [machines, memoryMb];
  await world.sql(
    "update organizations set quota_machines = $1, quota_memory_mb = $2 where slug = 'personal'",
    values,
  );
}
