import { expect, test } from "vitest";
import { poissonArrivals, seeded, windowsOf } from "./arrivals.ts";

test("arrivals have the rate, in order, within the time", () => {
  const arrivals = poissonArrivals(20, 100_000, seeded(1));

  expect(arrivals.length).toBeGreaterThan(1_850);
  expect(arrivals.length).toBeLessThan(2_150);
  expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  expect(arrivals.at(-1)).toBeLessThan(100_000);
});

test("gaps vary as those of a Poisson process do: their deviation is as large as their mean", () => {
  const arrivals = poissonArrivals(20, 500_000, seeded(2));

  const gaps = arrivals.map((at, i) => at - (arrivals[i - 1] ?? 0));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
  expect(deviation / mean).toBeCloseTo(1, 1);
});

test("a seed gives the same numbers again, between 0 and 1", () => {
  const [one, other] = [seeded(7), seeded(7)];

  const numbers = Array.from({ length: 1_000 }, one);

  expect(numbers).toEqual(Array.from({ length: 1_000 }, other));
  expect(numbers.every((each) => each >= 0 && each < 1)).toBe(true);
  expect(new Set(numbers).size).toBe(1_000);
});

test("samples are put into the windows in which they began", () => {
  const samples = [0, 9_999, 10_000, 25_000].map((atMs) => ({ atMs }));

  const windows = windowsOf(samples, 10_000, 3);

  expect(windows.map((each) => each.map(({ atMs }) => atMs))).toEqual([[0, 9_999], [10_000], [25_000]]);
});
