import { describe, expect, test } from "vitest";
import { columnsOf, filterOf, lasting, NOON_MS } from "../columns/operations.fixture.ts";
import { select } from "../columns/select.ts";
import { columnOf, timeSteps } from "../statistics/time-steps.ts";
import { heatMap } from "./heat-map.ts";
import { league, sharesAt } from "./hops.ts";
import { percentileSeries, queueSeries } from "./series.ts";

const MINUTE_US = 60_000_000;
const NOON_US = NOON_MS * 1_000;

/** So many minutes before noon. */
const minutesBefore = (minutes: number) => NOON_US - minutes * MINUTE_US;

function all(columns: ReturnType<typeof columnsOf>, query = "") {
  return select(columns, filterOf(query), undefined);
}

describe("steps of time", () => {
  test.each([
    [60_000, 1_000, 60],
    [3_600_000, 30_000, 120],
    [86_400_000, 900_000, 96],
    [7 * 86_400_000, 7_200_000, 84],
    [400 * 86_400_000, 7 * 86_400_000, 58],
  ])("%i ms have steps of %i ms", (range, stepMs, count) => {
    expect(timeSteps(NOON_MS - range, NOON_MS)).toMatchObject({ stepMs, count });
  });

  test("cover the period, also one that begins within a step", () => {
    const steps = timeSteps(NOON_MS - 59_500, NOON_MS);

    expect(columnOf(steps, NOON_MS - 59_500)).toBe(0);
    expect(columnOf(steps, NOON_MS - 1)).toBe(steps.count - 1);
  });
});

describe("the heat map", () => {
  test("counts by time, duration and path, failures apart", () => {
    const columns = columnsOf([
      { startUs: minutesBefore(60), durationUs: 30_000 },
      { startUs: minutesBefore(60) + 1, durationUs: 30_001 },
      { startUs: minutesBefore(60), durationUs: 30_000, path: "cold" },
      { startUs: minutesBefore(30), durationUs: 900_000, path: "cold" },
      { startUs: minutesBefore(1), durationUs: 5, reason: "START_FAILED" },
    ]);
    const marks = [
      { timeMs: NOON_MS - 1, kind: "version", label: "2.0.0", host: "h1" },
      { timeMs: NOON_MS, kind: "version", label: "3.0.0", host: "h1" },
    ] as const;

    const map = heatMap(columns, all(columns), filterOf(), marks);

    const [first, second, third] = map.cells;
    expect(map.paths).toEqual(["warm", "cold"]);
    expect(map.cells).toHaveLength(3);
    expect([first?.[3], second?.[3], third?.[3]]).toEqual([2, 1, 1]);
    expect([first?.[2], second?.[2], third?.[2]]).toEqual([0, 1, 1]);
    expect([first?.[0], third?.[0]]).toEqual([0, 60]);
    for (const [cell, us] of [
      [first, 30_000],
      [third, 900_000],
    ] as const) {
      expect(map.edges_us[cell?.[1] ?? -1]).toBeLessThanOrEqual(us);
      expect(map.edges_us[(cell?.[1] ?? -1) + 1]).toBeGreaterThan(us);
    }
    expect(map.failed.reduce((sum, each) => sum + each, 0)).toBe(1);
    expect(map.failed.at(-2)).toBe(1);
    expect(map.marks).toEqual([marks[0]]);
    expect(map.edges_us[0]).toBeLessThanOrEqual(30_000);
  });

  test("of nothing has one row and no cells", () => {
    const columns = columnsOf([]);

    const map = heatMap(columns, all(columns), filterOf(), []);

    expect([map.cells, map.edges_us.length, map.times_ms.length]).toEqual([[], 2, 120]);
  });

  test("puts what is shorter or longer than its rows into the first and the last", () => {
    const columns = columnsOf(lasting(1, 86_400_000_000));

    const { cells, edges_us } = heatMap(columns, all(columns), filterOf(), []);

    expect(cells.map(([, row]) => row)).toEqual([0, edges_us.length - 2]);
  });
});

test("percentiles over time are exact and leave out empty steps", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => ({
    startUs: minutesBefore(30),
    durationUs: 100 - i,
  }));
  const columns = columnsOf([...hundred, { startUs: minutesBefore(10), durationUs: 7_000 }]);

  const series = percentileSeries(columns, all(columns), filterOf());

  expect(series).toEqual({
    step_ms: 30_000,
    points: [
      { time_ms: NOON_MS - 30 * 60_000, count: 100, p50: 50, p90: 90, p99: 99, max: 100 },
      { time_ms: NOON_MS - 10 * 60_000, count: 1, p50: 7_000, p90: 7_000, p99: 7_000, max: 7_000 },
    ],
    all: { count: 101, p50: 51, p90: 91, p99: 100, max: 7_000 },
  });
});

test("the queue over time is the mean and the most of what starts found", () => {
  const columns = columnsOf([
    { startUs: minutesBefore(20), queueLength: 0 },
    { startUs: minutesBefore(20), queueLength: 3 },
    { startUs: minutesBefore(5), queueLength: 7 },
  ]);

  expect(queueSeries(columns, all(columns), filterOf())).toEqual([
    { time_ms: NOON_MS - 20 * 60_000, mean: 1.5, max: 3 },
    { time_ms: NOON_MS - 5 * 60_000, mean: 7, max: 7 },
  ]);
});

describe("hops", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => ({
    durationUs: 1_000 + i,
    hops: { unexplained: 10, api: 490, claim: i + 500 },
    unexplainedUs: 10,
  }));

  test("are shown around the percentiles, in the order of a start", () => {
    const columns = columnsOf(hundred);

    const at = sharesAt(columns, all(columns), (hop) => ["api", "claim", "unexplained"].indexOf(hop));

    // Around the median 2.5 % of all on each side.
    expect(at[0]).toEqual({
      ...{ percentile: "p50", duration_us: 1_049, count: 5, unexplained_us: 10 },
      hops: [
        { hop: "api", us: 490 },
        { hop: "claim", us: 549 },
        { hop: "unexplained", us: 10 },
      ],
    });
    expect(at.map(({ percentile, count }) => [percentile, count])).toEqual([
      ["p50", 5],
      ["p90", 5],
      ["p99", 3],
    ]);
    expect(at[2]?.duration_us).toBe(1_098);
  });

  test("are ranked by what they contribute, with what changed", () => {
    const now = { version: "2", startUs: minutesBefore(1), durationUs: 100, hops: { claim: 60, api: 40 } };
    const then = {
      version: "1",
      startUs: minutesBefore(24 * 60 + 1),
      durationUs: 80,
      hops: { claim: 40, api: 40 },
    };
    const columns = columnsOf([now, now, then]);
    const selected = all(columns, "since=10m");
    const yesterday = all(columns, "since=25h&until=2026-01-31T11:00:00Z");

    const rows = league(columns, selected, { yesterday, versions: [selected, yesterday] });

    expect(rows).toEqual([
      { hop: "claim", us: 60, share: 0.6, p99_us: 60, since_yesterday: 0.5, since_version: 0.5 },
      { hop: "api", us: 40, share: 0.4, p99_us: 40, since_yesterday: 0, since_version: 0 },
    ]);
  });

  test("that nobody had before have changed by nothing that can be said", () => {
    const columns = columnsOf([{ hops: { claim: 10 } }]);
    const none = new Uint32Array();

    const [row] = league(columns, all(columns), { yesterday: none, versions: [none, none] });

    expect([row?.since_yesterday, row?.since_version]).toEqual([null, null]);
  });

  test("have the percentiles that sorting gives", () => {
    const columns = columnsOf(
      Array.from({ length: 500 }, (_, i) => ({ durationUs: i, hops: { api: (i * 7_919) % 500 } })),
    );
    const none = new Uint32Array();

    const [row] = league(columns, all(columns), { yesterday: none, versions: [none, none] });

    expect(row?.p99_us).toBe(494);
  });
});
