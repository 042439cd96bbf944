import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

const RATE = { perSecond: 10, burst: 3 };

test("a burst is taken at once, then one for each part of a second", () => {
  const bucket = new TokenBucket(RATE, 0);
  expect([1, 2, 3].map(() => bucket.take(0))).toEqual([0, 0, 0]);

  expect(bucket.take(0)).toBe(100);
  expect(bucket.take(40)).toBeCloseTo(60);
  expect(bucket.take(100)).toBe(0);
  expect(bucket.take(100)).toBe(100);
});

test("what was done already is owed, and at most a burst of it", () => {
  const bucket = new TokenBucket(RATE, 0);

  bucket.charge(1_000_000, 0);

  expect(bucket.take(0)).toBe(400);
  expect(bucket.take(400)).toBe(0);
});

test("a new rate counts at once, and a full bucket is full by it", () => {
  const [full, used] = [new TokenBucket(RATE, 0), new TokenBucket(RATE, 0)];
  used.take(0);
  for (const bucket of [full, used]) bucket.setRate({ perSecond: 1, burst: 5 }, 0);

  expect([1, 2, 3, 4, 5, 6].map(() => full.take(0))).toEqual([0, 0, 0, 0, 0, 1_000]);
  expect([1, 2, 3].map(() => used.take(0))).toEqual([0, 0, 1_000]);
});

test("never allows more than the burst and the rate together, whatever the clock does", () => {
  const steps = fc.array(fc.integer({ min: -50, max: 500 }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (elapsed) => {
      const bucket = new TokenBucket(RATE, 0);
      let [nowMs, forwardMs, taken] = [0, 0, 0];
      for (const ms of elapsed) {
        nowMs += ms;
        forwardMs += Math.max(0, ms);
        if (bucket.take(nowMs) === 0) taken += 1;
      }
      expect(taken).toBeLessThanOrEqual(RATE.burst + (forwardMs / 1_000) * RATE.perSecond + 1e-6);
    }),
  );
});
