import { expect, test } from "vitest";
import { decodeHistogram, newHistogram } from "../../lib/latency/histogram.ts";
import { type LatencyRow, TraceReader } from "../../lib/latency/trace-reader.ts";
import { StoreWorld } from "./store.fixture.ts";

const ALL = { sinceMs: 0, untilMs: Number.MAX_SAFE_INTEGER };

test("percentiles of all starts are exact to a tenth of a percent, though few traces are kept", () => {
  using world = new StoreWorld(20);
  const durations: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    const us = Math.floor(5_000 * Math.exp(6 * world.random()));
    durations.push(us);
    world.start(us);
    if (i % 100 === 99) world.pass(15_000);
  }
  world.pass(60_000);

  for (const step of ["minute", "hour"] as const) {
    const rows = read(world, step);
    const all = newHistogram();
    for (const { histogram } of rows) all.add(decodeHistogram(histogram));
    durations.sort((a, b) => a - b);
    expect(all.totalCount).toBe(1_000);
    expect(rows.reduce((sum, { count }) => sum + count, 0)).toBe(1_000);
    expect(Math.max(...rows.map(({ maxUs }) => maxUs))).toBe(durations.at(-1));
    for (const percent of [50, 90, 99, 99.9]) {
      // 99.9 % of 1,000 is a little more than 999 as a number of JavaScript.
      const rank = Math.ceil((percent / 100) * durations.length - 1e-9);
      const exact = durations[rank - 1] ?? 0;
      expect(Math.abs(all.getValueAtPercentile(percent) / exact - 1)).toBeLessThan(0.001);
    }
  }
});

test("all starts of one command are counted, though they are one trace", () => {
  using world = new StoreWorld(100);
  const root = world.ids();
  const starts = Array.from({ length: 300 }, (_, i) =>
    world.span(
      { traceId: root.traceId, spanId: world.ids().spanId },
      { parent_span_id: root.spanId, duration_us: 5_000 + i },
    ),
  );
  world.add(world.span(root, { name: "hover machine start", duration_us: 900_000 }), ...starts);
  world.pass(5_000);

  expect(read(world, "hour").reduce((sum, { count }) => sum + count, 0)).toBe(300);
});

test("outcomes, paths and organisations are counted apart", () => {
  using world = new StoreWorld(20);
  world.start(5_000);
  world.start(6_000, { path: "cold" });
  world.start(7_000, { reason: "HOST_FULL" });
  world.start(8_000, { org: "rival" });
  world.pass(5_000);

  const rows = read(world, "hour").map(({ org, path, failed, count }) => [org, path, failed, count]);

  expect(rows).toEqual([
    ["acme", "cold", false, 1],
    ["acme", "warm", false, 1],
    ["acme", "warm", true, 1],
    ["rival", "warm", false, 1],
  ]);
});

test("a late span that turns out to hold the start replaces what was counted", () => {
  using world = new StoreWorld(20);
  const inner = world.ids();
  const outer = { traceId: inner.traceId, spanId: "b000000000000fff" };
  world.add({
    ...world.span(inner, { name: "hostd.start", service: "hostd", kind: "internal", duration_us: 30_000 }),
    parent_span_id: outer.spanId,
  });
  const first = world.span(outer, { duration_us: 90_000 });
  // Nobody has the root: it is sealed without one.
  world.pass(20_000);
  const early = read(world, "minute");

  world.add(first);
  world.pass(5_000);

  expect(early.map(({ count, maxUs }) => [count, maxUs])).toEqual([[1, 30_000]]);
  const late = read(world, "minute");
  expect(late.map(({ count, maxUs }) => [count, maxUs])).toEqual([[1, 90_000]]);
  expect(decodeHistogram(late[0]?.histogram ?? "").getValueAtPercentile(50)).toBeCloseTo(90_000, -2);
});

test("rows about a day old are kept by hours alone", () => {
  using world = new StoreWorld(20);
  world.start(5_000);
  world.pass(5_000);
  const counted = read(world, "minute");

  world.pass(30 * 3_600_000);

  expect(counted).toHaveLength(1);
  expect(read(world, "minute")).toEqual([]);
  expect(read(world, "hour")).toHaveLength(1);
});

function read(world: StoreWorld, step: "minute" | "hour"): readonly LatencyRow[] {
  const reader = new TraceReader(world.dir);
  try {
    return reader.latency({ ...ALL, step });
  } finally {
    reader.close();
  }
}
