import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually, startScheduler, TestHost } from "./fixture.ts";
import { RedisWorld, refusedAfter } from "./redis-fixture.ts";

/** The scheduler gives Redis 700 ms; the rest is for a loaded machine. A call's own deadline comes later. */
const IN_TIME_MS = 15_000;

let world: RedisWorld;

beforeEach(async () => {
  world = await RedisWorld.start();
});
afterEach(() => world.close());

describe("when Redis loses everything", () => {
  test("scripts are loaded again, and auctions go on", async () => {
    await world.reserved();
    await world.flush();

    const { id } = await world.reserved();

    await expect(world.scheduler.claim(id, "saga", 1)).resolves.toMatchObject({ offer: { hostNumber: 1 } });
  });

  test("in the middle of an auction, the reservation is made all the same", async () => {
    const flushed = Promise.withResolvers<void>();
    const mute = new TestHost(3, [world.scheduler.address], {
      answer: (asked, host) => {
        world.flush().then(() => flushed.resolve(), flushed.reject);
        return host.hold(asked);
      },
    });
    world.hosts.push(mute);
    await eventually(() => mute.attached()).toBe(true);

    // With three hosts, a particular one may be too late to be among the offers.
    const { id, best } = await world.reserved();
    await flushed.promise;

    expect(mute.asked).toEqual([id]);
    const outcome = await world.scheduler.claim(id, "saga", best).catch((err: unknown) => err);
    // It is there when Redis was flushed before it was stored, and gone otherwise.
    expect(outcome).toMatchObject(
      outcome instanceof Error ? { reason: "RESERVATION_EXPIRED" } : { offer: {} },
    );
  });

  test("a release still releases the holds", async () => {
    const { id } = await world.reserved();
    await world.flush();

    await expect(world.scheduler.claim(id, "saga", 1)).rejects.toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
    await world.scheduler.release(id);

    await eventually(() => world.held()).toEqual([0, 0]);
  });
});

describe("when Redis is stopped", () => {
  test("every call fails soon, no host is asked, and all works when it is back", async () => {
    const { id } = await world.reserved();
    await world.redis.part.stop();
    const asked = world.hosts.map((host) => host.asked.length);

    const calls = [
      () => world.scheduler.reserve(),
      () => world.scheduler.claim(id, "saga", 1),
      () => world.scheduler.release(id, 1),
    ];
    for (const call of calls) expect(await refusedAfter(call)).toBeLessThan(IN_TIME_MS);
    expect(world.hosts.map((host) => host.asked.length)).toEqual(asked);
    expect((await world.scheduler.listHosts()).length).toBe(2);
    // The release has failed, but released the holds.
    await eventually(() => world.held()).toEqual([1, 0]);

    await world.redis.part.start();

    await eventually(() => world.offers()).toBe(2);
  });

  test("a scheduler starts and serves, and works once Redis comes", async () => {
    await world.redis.part.stop();
    const early = await startScheduler(world.redis.url);
    const host = new TestHost(1, [early.address]);
    try {
      await eventually(() => host.attached()).toBe(true);
      expect(await refusedAfter(() => early.reserve())).toBeLessThan(IN_TIME_MS);

      await world.redis.part.start();

      await eventually(() => early.reserve().then((made) => made.reservation?.offers.length)).toBe(1);
    } finally {
      await host.close();
      await early.close();
    }
  });
});

describe("when Redis hangs", () => {
  let pid: number;
  beforeEach(() => {
    const { process } = world.redis.part;
    if (!process) throw new Error("Redis does not run");
    pid = process.pid;
  });
  afterEach(() => {
    process.kill(pid, "SIGCONT");
  });

  test("calls fail soon, and all works when it goes on", async () => {
    const { id } = await world.reserved();
    process.kill(pid, "SIGSTOP");

    expect(await refusedAfter(() => world.scheduler.reserve())).toBeLessThan(IN_TIME_MS);
    expect(await refusedAfter(() => world.scheduler.claim(id, "saga", 1))).toBeLessThan(IN_TIME_MS);

    process.kill(pid, "SIGCONT");
    await eventually(() => world.offers()).toBe(2);
  });

  test("from the middle of an auction on, the holds are released, and the reservation does not appear later", async () => {
    await world.restart({ ttlMs: 60_000 });
    const stopping = new TestHost(3, [world.scheduler.address], {
      answer: (asked, host) => {
        process.kill(pid, "SIGSTOP");
        return host.hold(asked);
      },
    });
    world.hosts.push(stopping);
    await eventually(() => stopping.attached()).toBe(true);
    const reservationId = "stopped-in-the-middle";

    expect(await refusedAfter(() => world.scheduler.reserve({ reservationId }))).toBeLessThan(IN_TIME_MS);
    await eventually(() => world.held()).toEqual([0, 0, 0]);

    process.kill(pid, "SIGCONT");
    world.hosts.pop();
    await stopping.close();
    await eventually(() => world.offers()).toBe(2);
    await expect(world.scheduler.claim(reservationId, "saga", 1)).rejects.toMatchObject({
      reason: "RESERVATION_EXPIRED",
    });
  });
});
