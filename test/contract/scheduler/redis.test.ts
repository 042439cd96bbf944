import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually, REGION } from "./fixture.ts";
import { RedisWorld } from "./redis-fixture.ts";

let world: RedisWorld;

beforeEach(async () => {
  world = await RedisWorld.start();
});
afterEach(() => world.close());

describe("a Reserve with a claimant", () => {
  const reserve = (claimant: string | undefined, reservationId: string) =>
    world.scheduler.reserve({ reservationId, claimant });

  test("has its best offer claimed, and the claimant may award it or claim the runner-up", async () => {
    const { reservation, claimedHost } = await reserve("saga", "r1");
    const [best, second] = reservation?.offers ?? [];

    expect(claimedHost).toBe(best?.hostNumber);
    expect(reservation).toMatchObject({ claimant: "saga", claimedHost });
    await expect(world.scheduler.claim("r1", "another", 1)).rejects.toMatchObject({
      reason: "RESERVATION_CLAIMED",
    });
    expect((await world.scheduler.claim("r1", "saga", second?.hostNumber ?? 0)).offer).toEqual(second);
  });

  test("returns the same again, and to another claimant no claim", async () => {
    const first = await reserve("saga", "r1");

    expect(await reserve("saga", "r1")).toEqual(first);
    expect(await reserve("another", "r1")).toEqual({ ...first, claimedHost: undefined });
    expect((await reserve(undefined, "r1")).claimedHost).toBeUndefined();
  });

  test("claims nothing of a live reservation: that is for Claim", async () => {
    await reserve("", "r1");

    expect(await reserve("saga", "r1")).toMatchObject({
      claimedHost: undefined,
      reservation: { claimant: "" },
    });
    await expect(world.scheduler.claim("r1", "another", 1)).resolves.toBeDefined();
  });

  test("keeps the hold of the claimed offer when the reservation expires, and releases the other", async () => {
    await world.restart({ ttlMs: 2_000 });
    const { claimedHost } = await reserve("saga", "r1");

    await eventually(() => world.held()).toEqual([1, 2].map((number) => (number === claimedHost ? 1 : 0)));
    await eventually(() => world.keys()).toEqual([]);
  });

  test("refuses an invalid claimant", async () => {
    await expect(reserve("a claimant", "r1")).rejects.toMatchObject({
      reason: "INVALID_FIELDS",
      facts: { fields: "claimant" },
    });
  });
});

describe("time", () => {
  beforeEach(() => world.restart({ ttlMs: 2_000 }));

  test("a claim after the deadline is refused", async () => {
    const { id, expiresAt } = await world.reserved();
    await world.scheduler.claim(id, "saga", 1);
    await eventually(() => Date.now() > expiresAt).toBe(true);

    await expect(world.scheduler.claim(id, "saga", 1)).rejects.toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
  });

  test("reservations expire: holds and keys are gone a second later", async () => {
    await world.reserved();
    await world.reserved();
    expect(world.held()).toEqual([2, 2]);

    await eventually(() => world.held()).toEqual([0, 0]);
    await eventually(() => world.keys()).toEqual([]);
  });

  test("expiry keeps the hold of a claimed offer, whose award may be on the way", async () => {
    const { id } = await world.reserved();
    await world.scheduler.claim(id, "saga", 2);

    await eventually(() => world.held()).toEqual([0, 1]);
    await eventually(() => world.keys()).toEqual([]);
  });
});

test("all keys of a region share a hash tag and have a TTL for when no scheduler is left", async () => {
  const { id } = await world.reserved();

  const found = await world.keys();
  expect(found).toEqual([`windhover:{${REGION}}:deadlines`, `windhover:{${REGION}}:reservation:${id}`]);
  for (const key of found) {
    const ttlMs = await world.admin.run("PTTL", (client) => client.pttl(key));
    expect(ttlMs).toBeGreaterThan(5_000);
    expect(ttlMs).toBeLessThanOrEqual(60_000);
  }
});
