import { afterEach, describe, expect, test } from "vitest";
import { LARGE, SMALL, World } from "../../../../../test/support/hostd/warm-pool.ts";

let world: World;
afterEach(() => world.pool.close());

describe("a pool", () => {
  test("has a VM for each machine that could be started, made one at a time", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL, LARGE];
    world.open();

    await world.has(2);
    await world.has(1, LARGE);
    expect(world.mostAtOnce).toBe(1);
    expect(world.reclaimableMb).toBe(1_536);
  });

  test("has no more than its memory allows, some of every shape first", async () => {
    world = new World({ memoryMb: 1_600 });
    world.wanted = [SMALL, SMALL, SMALL, LARGE, LARGE];
    world.open();

    await world.has(2);
    await world.has(1, LARGE);
    world.check();
    await expect.poll(() => world.made.length).toBe(3);
    expect(world.reclaimableMb).toBeLessThanOrEqual(1_600);
  });

  test("makes none for which the host has no memory", async () => {
    world = new World();
    world.availableMb = 300;
    world.wanted = [SMALL, SMALL];
    world.open();

    await world.has(1);
    world.check();
    await expect.poll(() => world.reclaimableMb).toBe(256);
    expect(world.made).toEqual(["256-1"]);
  });

  test("gives every VM away once, the oldest first, and makes another", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL];
    world.open();
    await world.has(2);

    const [first, second] = [world.pool.take(SMALL), world.pool.take(SMALL)];

    expect([first?.vm.id, second?.vm.id]).toEqual(["256-1", "256-2"]);
    expect(world.pool.take(SMALL)).toBeUndefined();
    await world.has(2);
    expect(world.made).toEqual(["256-1", "256-2", "256-3", "256-4"]);
    expect(world.discarded).toEqual([]);
  });

  test("prepares for a shape before it makes a VM of it", async () => {
    world = new World();
    world.unprepared = [SMALL];
    world.wanted = [SMALL];
    world.open();

    await world.has(1);
    expect(world.made).toEqual(["template 256", "256-2"]);
  });

  test("ends those that are not needed any more", async () => {
    world = new World();
    world.wanted = [SMALL, LARGE];
    world.open();
    await world.has(1, LARGE);

    world.wanted = [SMALL];
    world.check();

    await world.has(0, LARGE);
    expect(world.discarded).toHaveLength(1);
    expect(world.pool.count(SMALL)).toBe(1);
    await expect.poll(() => world.reclaimableMb).toBe(256);
  });

  test("replaces a VM that dies while it waits, and removes what is left of it", async () => {
    world = new World();
    world.wanted = [SMALL];
    world.open();
    await world.has(1);

    world.vms[0]?.die();

    await expect.poll(() => world.discarded).toEqual(["256-1"]);
    await world.has(1);
    // The pool does not watch one that was taken.
    world.pool.take(SMALL);
    world.vms[1]?.die();
    await world.has(1);
    expect(world.discarded).toEqual(["256-1"]);
    expect(world.made).toHaveLength(3);
  });
});

describe("the making of VMs", () => {
  test("does not begin during a start, nor right after it", async () => {
    world = new World();
    world.wanted = [SMALL];
    const ended = world.pool.startBegins(SMALL);
    world.open();
    // Otherwise it would have been made by then.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    expect([world.made, world.pauses]).toEqual([[], []]);

    ended();
    ended();
    await world.has(1);
    expect(world.pauses).toEqual([100]);

    const next = world.pool.startBegins(SMALL);
    world.pool.take(SMALL);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    expect(world.made).toHaveLength(1);
    next();
    await world.has(2);
  });

  test("waits when a start begins during the pause before it", async () => {
    world = new World();
    world.wanted = [SMALL];
    const ends: (() => void)[] = [];
    world.pausing = async () => {
      if (ends.length === 0) ends.push(world.pool.startBegins(SMALL));
    };
    world.open();
    await expect.poll(() => ends.length).toBe(1);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    expect(world.made).toEqual([]);

    ends[0]?.();
    await world.has(1);
  });

  test("pauses longer on a busy host, up to a bound", async () => {
    world = new World();
    world.wanted = [SMALL];
    world.load = 4;
    world.open();
    await world.has(1);
    world.load = 1_000;
    world.pool.take(SMALL);
    await world.has(1);

    expect(world.pauses).toEqual([700, 3_100]);
  });

  test("is retried with growing pauses, which begin anew after a success", async () => {
    world = new World();
    world.wanted = [SMALL];
    let failures = 0;
    world.making = async () => {
      failures += 1;
      if (failures <= 8) throw new Error("no memory");
    };
    world.open();
    await world.has(1);
    const retries = world.pauses.filter((ms) => ms !== 100);
    expect(retries).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);

    failures = 7;
    world.pool.take(SMALL);
    await world.has(1);
    expect(world.pauses.filter((ms) => ms !== 100).slice(8)).toEqual([1_000]);
  });
});

describe("memory that the host reclaims", () => {
  test("is free before the call returns, the newest VMs first", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL, SMALL];
    world.open();
    await world.has(3);

    world.availableMb = 256;
    world.reclaim(256);

    expect(world.pool.count(SMALL)).toBe(1);
    expect(world.reclaimableMb).toBe(256);
    expect(world.discarded).toEqual(["256-3", "256-2"]);
    expect(world.pool.take(SMALL)?.vm.id).toBe("256-1");
  });

  test("is first taken from the VM that is being made", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL];
    world.open();
    await world.has(2);
    const aborted: unknown[] = [];
    let finish = (): void => {};
    world.making = (signal) => {
      signal.addEventListener("abort", () => aborted.push(signal.reason));
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    world.pool.take(SMALL);
    await expect.poll(() => world.atOnce).toBe(1);

    world.availableMb = 256;
    world.reclaim(256);
    expect(aborted).toHaveLength(1);
    expect(world.pool.count(SMALL)).toBe(1);
    expect(world.reclaimableMb).toBe(256);

    // It is made all the same, and must not stay.
    finish();
    await expect.poll(() => world.discarded).toEqual(["256-3"]);
    expect(world.pool.count(SMALL)).toBe(1);
  });
});

test("a pool that closes ends all its VMs, the one being made among them, and waits until they are gone", async () => {
  world = new World();
  world.wanted = [SMALL, SMALL];
  world.open();
  await world.has(2);
  world.making = (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  world.pool.take(SMALL);
  await expect.poll(() => world.atOnce).toBe(1);

  await world.pool.close();

  expect(world.discarded.toSorted()).toEqual(["256-2", "256-3"]);
  expect(world.pool.count(SMALL)).toBe(0);
});
