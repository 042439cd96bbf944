import { expect, test } from "vitest";
import { summarize } from "./percentiles.ts";

const upTo = (n: number) => Array.from({ length: n }, (_, index) => n - index);

test("percentiles are samples, by nearest rank, whatever order they came in", () => {
  expect(summarize("warm", "ms", upTo(200))).toEqual({
    name: "warm",
    unit: "ms",
    n: 200,
    p50: 100,
    p90: 180,
    p99: 198,
    max: 200,
  });
});

test("with few samples the 99th percentile is the worst of them", () => {
  expect(summarize("cold", "ms", [4, 1, 3])).toMatchObject({ n: 3, p50: 3, p90: 4, p99: 4, max: 4 });
  expect(summarize("cold", "ms", [7])).toMatchObject({ n: 1, p50: 7, p99: 7, max: 7 });
});

test("the samples are left as they were", () => {
  const samples = [3, 1, 2];
  summarize("stop", "ms", samples);
  expect(samples).toEqual([3, 1, 2]);
});

test("nothing measured is no row", () => {
  expect(() => summarize("template", "ms", [])).toThrow("template was not measured");
});
