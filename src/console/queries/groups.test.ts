import { describe, expect, test } from "vitest";
import { columnsOf, filterOf, NOON_MS, operation } from "../columns/operations.fixture.ts";
import { measured, select } from "../columns/select.ts";
import { byConcurrency, latencyBy, valuesIn } from "./by-group.ts";
import { hostRows } from "./hosts.ts";
import { pathMix } from "./mix.ts";
import { pool } from "./pool.ts";
import { latest, rowsOf, slowest, typicalHops } from "./rows.ts";

const MINUTE_US = 60_000_000;
const NOON_US = NOON_MS * 1_000;

/** So many minutes before noon. */
const minutesBefore = (minutes: number) => NOON_US - minutes * MINUTE_US;

function all(columns: ReturnType<typeof columnsOf>, query = "") {
  return select(columns, filterOf(query), undefined);
}

test("the mix of start paths says why no faster one was taken", () => {
  const cold = { path: "cold", durationUs: 2_000, notFaster: "pool_empty" };
  const columns = columnsOf([{}, {}, cold, { ...cold, notFaster: "pool_empty,no_template" }, cold]);

  expect(
    pathMix(columns, all(columns)).map(({ path, share, count, not_faster }) => ({
      path,
      share,
      count,
      not_faster,
    })),
  ).toEqual([
    {
      ...{ path: "cold", share: 0.6, count: 3 },
      not_faster: [
        { why: "pool_empty", count: 3 },
        { why: "no_template", count: 1 },
      ],
    },
    { path: "warm", share: 0.4, count: 2, not_faster: [] },
  ]);
});

test("the mix counts what was evicted, as far as that is known", () => {
  const columns = columnsOf([{ path: "cold", notFaster: "pool_empty" }]);
  const percentiles = { p50: 1, p90: 2, p99: 3, max: 4 };
  const unsampled = new Map([
    ["cold", { count: 1, ...percentiles }],
    ["warm", { count: 3, ...percentiles }],
  ]);

  expect(pathMix(columns, all(columns), unsampled)).toEqual([
    { path: "warm", share: 0.75, count: 3, ...percentiles, is_unsampled: true, not_faster: [] },
    {
      ...{ path: "cold", share: 0.25, count: 1, ...percentiles, is_unsampled: true },
      not_faster: [{ why: "pool_empty", count: 1 }],
    },
  ]);
});

test("the pool counts hits and misses, and leaves out starts that did not look there", () => {
  const startUs = minutesBefore(5);
  const columns = columnsOf([
    { startUs, poolSize: 4, refillMs: 500 },
    { startUs, poolSize: 2, refillMs: 700 },
    { startUs, path: "cold", notFaster: "snapshot_failed,pool_empty", poolSize: 0 },
    { startUs, path: "resume", poolSize: -1 },
  ]);

  expect(pool(columns, all(columns), filterOf())).toEqual({
    ...{ hits: 2, misses: 1 },
    points: [{ time_ms: NOON_MS - 5 * 60_000, size: 2, hits: 2, misses: 1 }],
    refill: { count: 2, p50: 500_000, p90: 700_000, p99: 700_000, max: 700_000 },
  });
});

describe("hosts", () => {
  test("stand in the order of their deviation, by medians and their absolute deviations", () => {
    const medians = [10, 11, 12, 13, 40];
    const columns = columnsOf(
      medians.map((us, i) => ({ host: `h${i}`, durationUs: us * 1_000, hops: { claim: us * 1_000 } })),
    );
    const selected = all(columns);

    const rows = hostRows(columns, selected, selected);

    // Median 12, median absolute deviation 1.
    expect(rows.map(({ host, deviation }) => [host, Number(deviation.toFixed(4))])).toEqual([
      ["h4", 18.8857],
      ["h3", 0.6745],
      ["h2", 0],
      ["h1", -0.6745],
      ["h0", -1.349],
    ]);
    expect(rows[0]?.hops).toEqual([{ hop: "claim", us: 40_000, ratio: 40_000 / 17_200 }]);
  });

  test("that are all alike but one show that one", () => {
    const columns = columnsOf(
      ["a", "b", "c"].map((host) => ({ host, durationUs: host === "c" ? 2_000 : 1_000 })),
    );
    const selected = all(columns);

    expect(hostRows(columns, selected, selected).map(({ host, deviation }) => [host, deviation])).toEqual([
      ["c", 100],
      ["a", 0],
      ["b", 0],
    ]);
  });

  test("on which everything failed are shown without percentiles", () => {
    const columns = columnsOf([{ host: "a" }, { host: "b", reason: "HOST_FULL" }]);
    const selected = all(columns);

    const rows = hostRows(columns, selected, measured(columns, selected, filterOf()));

    expect(rows.map(({ host, count, failed }) => [host, count, failed])).toEqual([
      ["a", 1, 0],
      ["b", 0, 1],
    ]);
  });
});

test("durations by concurrency are in the order of the counts", () => {
  const columns = columnsOf([1, 9, 2, 3, 0].map((concurrency) => ({ concurrency, durationUs: concurrency })));

  expect(
    byConcurrency(columns, all(columns)).map(({ concurrency, count, max }) => [concurrency, count, max]),
  ).toEqual([
    ["0", 1, 0],
    ["1", 1, 1],
    ["2-3", 2, 3],
    ["8-15", 1, 9],
  ]);
});

test("the worst and the latest are listed with the hop that dominates", () => {
  const columns = columnsOf([
    ...Array.from({ length: 41 }, () => ({ durationUs: 100, hops: { claim: 60, store: 40 } })),
    { durationUs: 700, hops: { claim: 60, store: 640 }, startUs: minutesBefore(2) },
    { durationUs: 50, hops: { api: 50 }, startUs: minutesBefore(0.5) },
  ]);
  const selected = all(columns);
  const typical = typicalHops(columns, selected);

  const [worst] = rowsOf(columns, slowest(selected, 1), typical);
  const [last] = rowsOf(columns, latest(columns, selected, 1), typical);

  expect(worst).toMatchObject({ durationUs: 700, dominant: "store", dominant_ratio: 16 });
  // The typical operation has no such hop.
  expect(last).toMatchObject({ durationUs: 50, dominant: "api", dominant_ratio: 50 });
});

test("latency by an attribute counts failures apart and names the longest hop", () => {
  const columns = columnsOf([
    { host: "a", durationUs: 10, hops: { api: 4, claim: 6 } },
    { host: "a", durationUs: 20, hops: { api: 20 } },
    { host: "b", durationUs: 30, hops: { store: 30 } },
    { host: "b", reason: "HOST_FULL" },
    { host: "c", reason: "HOST_FULL" },
  ]);
  const selected = all(columns);

  const answer = latencyBy(columns, selected, measured(columns, selected, filterOf()), filterOf(), "host");

  expect(answer.all).toEqual({ count: 3, p50: 20, p90: 30, p99: 30, max: 30, failed: 2 });
  expect(
    answer.groups.map(({ value, count, max, failed, dominant }) => [value, count, max, failed, dominant]),
  ).toEqual([
    ["a", 2, 20, 0, "api"],
    ["b", 1, 30, 1, "store"],
    ["c", 0, 0, 1, ""],
  ]);
});

test("values are those that occur, most frequent first", () => {
  const columns = columnsOf([{ host: "a" }, { host: "b" }, { host: "b" }, { host: "c", org: "rival" }]);

  const values = valuesIn(columns, select(columns, filterOf(), "acme"));

  expect(values.host).toEqual([
    { value: "b", count: 2 },
    { value: "a", count: 1 },
  ]);
  expect(values.org).toEqual([{ value: "acme", count: 3 }]);
  expect(operation().org).toBe("acme");
});
