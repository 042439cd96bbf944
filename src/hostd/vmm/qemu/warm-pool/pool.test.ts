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
    expect(world.lentMb).toBe(1_536);
  });

  test("has no more than its memory allows, some of every shape first", async () => {
    world = new World({ memoryMb: 1_600 });
    world.wanted = [SMALL, SMALL, SMALL, LARGE, LARGE];
    world.open();

    await world.has(2);
    await world.has(1, LARGE);
    world.look();
    await expect.poll(() => world.made.length).toBe(3);
    expect(world.lentMb).toBeLessThanOrEqual(1_600);
  });

  test("makes none for which no memory is lent", async () => {
    world = new World();
    world.lendableMb = 300;
    world.wanted = [SMALL, SMALL];
    world.open();

    await world.has(1);
    world.look();
    await expect.poll(() => world.lentMb).toBe(256);
    expect(world.made).toEqual(["256-1"]);
  });

  test("gives every VM away once, the oldest first, and makes another", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL];
    world.open();
    await world.has(2);

    const [first, second] = [world.pool.take(SMALL), world.pool.take(SMALL)];

    expect([first?.id, second?.id]).toEqual(["256-1", "256-2"]);
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

  test("lets those go that are wanted no longer", async () => {
    world = new World();
    world.wanted = [SMALL, LARGE];
    world.open();
    await world.has(1, LARGE);

    world.wanted = [SMALL];
    world.look();

    await world.has(0, LARGE);
    expect(world.discarded).toHaveLength(1);
    expect(world.pool.count(SMALL)).toBe(1);
    await expect.poll(() => world.lentMb).toBe(256);
  });

  test("replaces a VM that dies while it waits, and removes what is left of it", async () => {
    world = new World();
    world.wanted = [SMALL];
    world.open();
    await world.has(1);

    world.vms[0]?.die();

    await expect.poll(() => world.discarded).toEqual(["256-1"]);
    await world.has(1);
    // One that was given away is no longer the pool's business.
    world.pool.take(SMALL);
    world.vms[1]?.die();
    await world.has(1);
    expect(world.discarded).toEqual(["256-1"]);
    expect(world.made).toHaveLength(3);
  });
});

describe("the making of VMs", () => {
  test("does not begin while a start is under way, nor right behind it", async () => {
    world = new World();
    world.wanted = [SMALL];
    const over = world.pool.begin(SMALL);
    world.open();
    // It would have been made by then: a pool with nothing in its way needs a few turns.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    expect([world.made, world.pauses]).toEqual([[], []]);

    over();
    await world.has(1);
    expect(world.pauses).toEqual([100]);
  });

  test("is put off when a start begins during the pause before it", async () => {
    world = new World();
    world.wanted = [SMALL];
    const overs: (() => void)[] = [];
    world.pausing = async () => {
      if (overs.length === 0) overs.push(world.pool.begin(SMALL));
    };
    world.open();
    await expect.poll(() => overs.length).toBe(1);
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    expect(world.made).toEqual([]);

    overs[0]?.();
    await world.has(1);
  });

  test("leaves a busy host alone for longer, up to a bound", async () => {
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

  test("is tried again ever more rarely when it fails, and at once after it has worked", async () => {
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

describe("memory that is needed elsewhere", () => {
  test("is given back before the call returns, the newest VMs first", async () => {
    world = new World();
    world.wanted = [SMALL, SMALL, SMALL];
    world.open();
    await world.has(3);

    world.lendableMb = 256;
    world.reclaim(256);

    expect(world.pool.count(SMALL)).toBe(1);
    expect(world.lentMb).toBe(256);
    expect(world.discarded).toEqual(["256-3", "256-2"]);
    expect(world.pool.take(SMALL)?.id).toBe("256-1");
  });

  test("is taken from the VM being made before all others, which is ended", async () => {
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

    world.lendableMb = 256;
    world.reclaim(256);
    expect(aborted).toHaveLength(1);
    expect(world.pool.count(SMALL)).toBe(1);
    expect(world.lentMb).toBe(256);

    // Made all the same, it must not stay.
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
