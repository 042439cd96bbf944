import { expect, test } from "vitest";
import { describePaths, measureByPath } from "./by-path.ts";

const never = new AbortController().signal;
const say = () => undefined;

/** A series whose starts take these paths in turn; an empty one fails. */
function seriesOf(
  paths: readonly string[],
  change: { count?: number; limitMs?: number; isReady?: boolean } = {},
) {
  const calls = { starts: 0, recoveries: 0 };
  const series = {
    ...{ startPath: "warm", count: change.count ?? 2 },
    ...(change.limitMs === undefined ? {} : { limitMs: change.limitMs }),
    ready: async () => change.isReady ?? true,
    async start() {
      const number = calls.starts++;
      const startPath = paths[number] ?? "warm";
      if (startPath === "") throw new Error(`start ${number} failed`);
      return { startPath, number };
    },
    async recover() {
      calls.recoveries += 1;
    },
  };
  return { calls, series };
}

test("the first start is no sample, and neither are those that take another path", async () => {
  const { series } = seriesOf(["warm", "warm", "cold", "warm"]);

  const { samples, others, failures } = await measureByPath(series, say, never);

  expect(samples.map(({ number }) => number)).toEqual([1, 3]);
  expect([describePaths(others), failures]).toEqual(["cold 1", []]);
});

test("after three misses in a row none is expected to take the path", async () => {
  const { series, calls } = seriesOf(["warm", "cold", "template", "cold", "warm"]);

  const { samples, others } = await measureByPath(series, say, never);

  expect([samples, describePaths(others), calls.starts]).toEqual([[], "cold 2, template 1", 4]);
});

test("a miss of a host that is not ready ends the series", async () => {
  const { series, calls } = seriesOf(["warm", "cold"], { isReady: false });

  await measureByPath(series, say, never);

  expect(calls.starts).toBe(2);
});

test("a start that fails is told, and recovered from", async () => {
  const { series, calls } = seriesOf(["warm", "", "warm", "warm"]);

  const { samples, failures } = await measureByPath(series, say, never);

  expect([samples.length, failures, calls.recoveries]).toEqual([2, ["start 1 failed"], 1]);
});

test("no start begins when the time is over", async () => {
  const { series, calls } = seriesOf([], { count: 100, limitMs: 0 });

  await measureByPath(series, say, never);

  expect(calls.starts).toBe(1);
});
