import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

test.each([
  [0, 100],
  [1, 200],
  [4, 1_600],
  [5, 2_000],
  [5_000, 2_000],
])("after %d failures the pause is between half of %d ms and all of it", (failures, most) => {
  const pauses = Array.from({ length: 100 }, () => backoffMs({ firstMs: 100, maxMs: 2_000 }, failures));

  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(most / 2);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(most);
  expect(new Set(pauses).size).toBeGreaterThan(1);
  expect(pauses.filter((pause) => !Number.isInteger(pause))).toEqual([]);
});
