import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { NotBegun, Pool, type PoolParts } from "../src/server/pool.ts";

const never = new AbortController().signal;

function poolOf(parts: Partial<PoolParts> = {}) {
  const started: string[] = [];
  const discarded: string[] = [];
  const pool = new Pool({
    limits: { concurrency: 2, queue: 2, queueMs: 60_000 },
    idleMs: 30_000,
    acquire: async () => {
      const id = `m${started.length}`;
      started.push(id);
      return { machine: { id, region: "ord", address: "" }, path: "warm" };
    },
    discard: ({ id }) => discarded.push(id),
    ...parts,
  });
  return { pool, started, discarded };
}

test("a machine has one run at a time, and no more are started than runs are allowed at once", async () => {
  const durations = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(durations, fc.integer({ min: 1, max: 5 }), async (runs, concurrency) => {
      const { pool, started } = poolOf({ limits: { concurrency, queue: 100, queueMs: 60_000 } });
      const busy = new Set<string>();
      const run = (turns: number) =>
        pool.run(async ({ machine }) => {
          expect(busy.has(machine.id)).toBe(false);
          busy.add(machine.id);
          for (let i = 0; i < turns; i++) await turn();
          busy.delete(machine.id);
        }, never);

      await Promise.all(runs.map(run));

      expect(started.length).toBe(Math.min(runs.length, concurrency));
      expect(pool.counts).toEqual({ running: 0, queued: 0, free: started.length });
    }),
    { numRuns: 50 },
  );
});

test("calls beyond the queue are refused, and a caller that leaves makes room", async () => {
  const { pool } = poolOf();
  const end = Promise.withResolvers<void>();
  const leaving = new AbortController();
  const running = [1, 2].map(() => pool.run(() => end.promise, never));
  const left = pool.run(async () => "ran", leaving.signal).catch((err: unknown) => err);
  const waiting = pool.run(async () => "ran", never);

  await expect(pool.run(async () => "ran", never)).rejects.toMatchObject({ status: 503, code: "QUEUE_FULL" });
  leaving.abort(new Error("left"));
  expect(await left).toMatchObject({ message: "left" });
  const another = pool.run(async () => "ran", never);
  end.resolve();

  expect(await Promise.all([waiting, another])).toEqual(["ran", "ran"]);
  await Promise.all(running);
});

test("a call does not wait for ever", async () => {
  const { pool } = poolOf({ limits: { concurrency: 1, queue: 1, queueMs: 1 } });
  const end = Promise.withResolvers<void>();
  const running = pool.run(() => end.promise, never);

  await expect(pool.run(async () => undefined, never)).rejects.toMatchObject({ code: "QUEUE_TIMEOUT" });
  end.resolve();
  await running;
});

test("a machine that is about to exit is not used", async () => {
  let nowMs = 0;
  const { pool, started } = poolOf({ now: () => nowMs });
  const idOf = () => pool.run(async ({ machine }) => machine.id, never);

  expect(await idOf()).toBe("m0");
  nowMs += 24_000;
  expect(await idOf()).toBe("m0");
  nowMs += 26_000;
  expect(await idOf()).toBe("m1");
  expect(started).toEqual(["m0", "m1"]);
});

test("a machine that has stopped is forgotten", async () => {
  const { pool } = poolOf();
  const idOf = () => pool.run(async ({ machine }) => machine.id, never);

  const first = await idOf();
  pool.forget(first);

  expect(await idOf()).not.toBe(first);
});

test("a run that failed costs its machine, and one that has not begun goes to another machine", async () => {
  const { pool, discarded } = poolOf();

  await expect(pool.run(() => Promise.reject(new Error("lost")), never)).rejects.toThrow("lost");
  const tried: string[] = [];
  const ran = await pool.run(async ({ machine }) => {
    tried.push(machine.id);
    if (tried.length < 3) throw new NotBegun("busy");
    return machine.id;
  }, never);

  expect(discarded).toEqual(["m0"]);
  expect([tried, ran]).toEqual([["m1", "m2", "m3"], "m3"]);
  const busy = pool.run(() => Promise.reject(new NotBegun("busy")), never);
  await expect(busy).rejects.toMatchObject({ status: 503, code: "MACHINES_BUSY" });
});
