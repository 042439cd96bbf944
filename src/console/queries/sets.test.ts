import { describe, expect, test } from "vitest";
import { encodeHistogram, newHistogram, recordDuration } from "../../lib/latency/histogram.ts";
import {
  columnsOf,
  filterOf,
  fleetUntilNoon,
  lasting,
  NOON_MS,
  operation,
} from "../columns/operations.fixture.ts";
import { select } from "../columns/select.ts";
import { LatencyCounts } from "../counts/latency-counts.ts";
import { compare } from "./compare.ts";
import { differences } from "./differences.ts";
import { objectives } from "./objectives.ts";
import { marksFor, overview } from "./overview.ts";
import type { Held } from "./question.ts";

/** What a console holds that has read these operations. */
function held(columns: ReturnType<typeof columnsOf>, more: Partial<Held> = {}): Held {
  return {
    columns,
    nowMs: NOON_MS,
    counts: { minutes: new LatencyCounts(60_000), hours: new LatencyCounts(3_600_000) },
    marks: [],
    objectives: [],
    losses: [],
    diskBytes: 4_096,
    ...more,
  };
}

describe("differences", () => {
  test("name the attribute that tells best who is in the box", () => {
    const columns = columnsOf(fleetUntilNoon(5_000, 1));
    const box = `box=${NOON_MS - 3_600_000},${NOON_MS},100000,170000`;
    const filter = filterOf(`path=warm&${box}`);
    const whole = select(columns, filter, undefined, { isBoxed: false });

    const { inside, outside, attributes } = differences(columns, whole, select(columns, filter, undefined));

    expect(inside + outside).toBe(whole.length);
    const hosts = attributes.filter(({ dimension }) => dimension === "host");
    expect(hosts[0]?.value).toBe("host-13");
    expect(hosts[0]?.inside_share).toBeGreaterThan(10 * (hosts[0]?.outside_share ?? 0));
    expect(attributes.toSorted((a, b) => b.score - a.score)).toEqual(attributes);
  });

  test("count what is in and out, and leave out what all have", () => {
    const columns = columnsOf([
      { host: "a", durationUs: 10 },
      { host: "a", durationUs: 20 },
      { host: "b", durationUs: 900 },
      { host: "b", durationUs: 30 },
    ]);
    const filter = filterOf(`box=0,${NOON_MS},500,1000`);
    const whole = select(columns, filter, undefined, { isBoxed: false });

    const answer = differences(columns, whole, select(columns, filter, undefined));

    expect(answer).toMatchObject({ inside: 1, outside: 3 });
    // Of the binary entropy of 1/4, which is 0.8113, knowing the host leaves 0.5.
    expect(answer.attributes.find(({ value }) => value === "b")).toMatchObject({
      ...{ dimension: "host", inside: 1, outside: 1, inside_share: 1, outside_share: 1 / 3 },
      score: expect.closeTo(0.3837, 4),
    });
    expect(answer.attributes.some(({ dimension }) => dimension === "path")).toBe(false);
  });
});

describe("a comparison", () => {
  const set = (host: string, ...us: number[]) => lasting(...us).map((each) => ({ ...each, host }));
  const of = (columns: ReturnType<typeof columnsOf>, host: string) =>
    select(columns, filterOf(`host=${host}`), undefined);

  test("says that b is slower, by how much, and in which hop", () => {
    const rows = Array.from({ length: 60 }, (_, i) => [
      { host: "a", durationUs: 1_000 + i, hops: { api: 500, claim: 500 + i } },
      { host: "b", durationUs: 1_200 + i, hops: { api: 500, claim: 700 + i } },
    ]).flat();
    const columns = columnsOf(rows);

    const { test: verdict, hops, a, b } = compare(columns, of(columns, "a"), of(columns, "b"));

    expect(verdict).toMatchObject({ verdict: "slower", shift_us: 200, effect: 1 });
    expect(verdict.interval_us[0]).toBeGreaterThan(190);
    expect(verdict.interval_us[1]).toBeLessThan(210);
    expect([a.p50, b.p50]).toEqual([1_029, 1_229]);
    expect(hops.map(({ hop, a_us, b_us }) => [hop, b_us - a_us])).toEqual([
      ["claim", 200],
      ["api", 0],
    ]);
    expect(hops.map(({ p }) => p < 0.001)).toEqual([true, false]);
  });

  test.each([
    ["the same values", [1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8], "no difference"],
    ["few values", [1, 2, 3], [11, 12, 13], "too few"],
    ["none", [], [], "too few"],
    ["shorter ones", [11, 12, 13, 14, 15, 16, 17, 18], [1, 2, 3, 4, 5, 6, 7, 8], "faster"],
  ] as const)("of %s concludes as much as there is", (_name, a, b, verdict) => {
    const columns = columnsOf([...set("a", ...a), ...set("b", ...b)]);

    expect(compare(columns, of(columns, "a"), of(columns, "b")).test.verdict).toBe(verdict);
  });

  test("draws both distributions, which rise to one", () => {
    const columns = columnsOf([...set("a", 1, 2, 3, 4), ...set("b", 3, 4, 5, 6)]);

    const { distribution } = compare(columns, of(columns, "a"), of(columns, "b"));

    expect(distribution).toEqual([
      [1, 0.25, 0],
      [2, 0.5, 0],
      [3, 0.75, 0.25],
      [4, 1, 0.5],
      [5, 1, 0.75],
      [6, 1, 1],
    ]);
  });
});

describe("objectives", () => {
  const targets = [
    { kind: "start", path: "warm", targetUs: 100, goal: 0.9 },
    { kind: "create", path: "", targetUs: 1_000, goal: 0.99 },
  ] as const;

  test("count what succeeded in time, each kind by its own clock, and what is left of the budget", () => {
    const columns = columnsOf([
      ...lasting(...Array.from({ length: 18 }, () => 100)),
      { durationUs: 101 },
      { durationUs: 5, reason: "START_FAILED" },
      { kind: "create", durationUs: 900, path: "" },
      { durationUs: 5, path: "cold" },
    ]);

    const [start, create] = objectives(held(columns, { objectives: targets }), {
      filter: filterOf(),
      org: undefined,
    });

    // 2 of 20 missed: as many as the goal of 90 % allows.
    expect(start).toMatchObject({ total: 20, within: 18, is_unsampled: false });
    expect(start?.budget_left).toBeCloseTo(0, 10);
    expect(start?.burn[0]?.rate).toBeCloseTo(1, 10);
    expect(create).toMatchObject({ total: 1, within: 1, budget_left: 1 });
  });

  test("count by what there was before anything was evicted, as far as that is known", () => {
    const columns = columnsOf(lasting(50));
    const counts = { minutes: new LatencyCounts(60_000), hours: new LatencyCounts(3_600_000) };
    counts.minutes.put([
      minuteOf(
        NOON_MS - 120_000,
        Array.from({ length: 100 }, (_, i) => 2 * i + 1),
      ),
    ]);
    const own = held(columns, { objectives: targets, counts });

    const [all] = objectives(own, { filter: filterOf(), org: undefined });
    const [ofHost] = objectives(own, { filter: filterOf("host=h1"), org: undefined });
    const [ofOther] = objectives(own, { filter: filterOf(), org: "rival" });

    expect(all).toMatchObject({ total: 100, within: 50, is_unsampled: true });
    expect(ofHost).toMatchObject({ total: 1, within: 1, is_unsampled: false });
    expect(ofOther).toMatchObject({ total: 0, budget_left: 1 });
  });

  test("leave out paths that the filter leaves out", () => {
    const own = held(columnsOf([]), { objectives: targets });

    const found = objectives(own, { filter: filterOf("path=!warm"), org: undefined });

    expect(found.map(({ kind }) => kind)).toEqual(["create"]);
  });
});

describe("unsampled percentiles", () => {
  test("are those of the histograms together, and the largest is exact", () => {
    const counts = new LatencyCounts(60_000);
    counts.put([
      minuteOf(NOON_MS - 120_000, [1_000, 2_000, 3_000]),
      minuteOf(NOON_MS - 60_000, [4_000, 1_234_567]),
      { ...minuteOf(NOON_MS - 60_000, [9_999_999]), org: "rival" },
    ]);

    const { all, points } = counts.series(filterOf(), "acme");

    expect(all).toMatchObject({ count: 5, max: 1_234_567 });
    expect(Math.abs(all.p50 / 3_000 - 1)).toBeLessThan(0.001);
    expect(points.map(({ count }) => count)).toEqual([3, 2]);
  });

  test("take the newest count of a minute that still grows", () => {
    const counts = new LatencyCounts(60_000);
    counts.put([minuteOf(NOON_MS - 60_000, [1])]);
    counts.put([minuteOf(NOON_MS - 60_000, [1, 2, 3])]);

    expect(counts.series(filterOf(), undefined).all.count).toBe(3);
  });

  test("are not known of a filter by host, duration or box", () => {
    const counts = new LatencyCounts(60_000);
    counts.put([minuteOf(NOON_MS - 60_000, [1])]);

    const known = ["", "path=warm", "host=h1", "min=1ms", "box=1,2,3,4"].map((query) =>
      counts.knows(filterOf(query)),
    );

    expect(known).toEqual([true, true, false, false, false]);
  });
});

describe("an organisation", () => {
  const mark = { timeMs: NOON_MS - 1_000, kind: "template", label: "x" } as const;
  const marks = [
    { ...mark, host: "h1" },
    { ...mark, host: "h2" },
    { ...mark, host: "" },
  ];

  test("sees its own operations, marks of hosts that it uses, and no figures of the whole store", () => {
    const columns = columnsOf([
      { host: "h1" },
      { host: "h2", org: "rival", path: "cold", durationUs: 9_123_457 },
    ]);

    const own = overview(held(columns, { marks }), { filter: filterOf(), org: "acme" });
    const text = JSON.stringify(own);

    expect(own).toMatchObject({ matching: 1, kept: 1, cost: { dropped_spans: null, disk_bytes: null } });
    expect(own.heat.marks.map(({ host }) => host)).toEqual(["h1"]);
    for (const foreign of ["rival", "cold", "h2", "9123457"]) expect(text).not.toContain(foreign);
  });

  test("that is none of the store's sees nothing", () => {
    const columns = columnsOf([operation()]);

    const own = overview(held(columns, { marks }), { filter: filterOf(), org: "nobody" });

    expect(own).toMatchObject({
      matching: 0,
      kept: 0,
      oldest_ms: 0,
      heat: { cells: [], marks: [], paths: [] },
    });
    expect(marksFor({ columns, marks }, undefined)).toHaveLength(3);
  });
});

test("the overview of a box keeps the heat map whole, and all else in the box", () => {
  const columns = columnsOf(fleetUntilNoon(2_000, 1));
  const query = `kind=all&box=${NOON_MS - 3_600_000},${NOON_MS},1000000,9000000`;

  const { matching, heat, percentiles, hops } = overview(held(columns), {
    filter: filterOf(query),
    org: undefined,
  });

  const drawn = heat.cells.reduce((sum, [, , , count]) => sum + count, 0);
  expect(drawn + heat.failed.reduce((sum, each) => sum + each, 0)).toBe(2_000);
  expect(matching).toBeLessThan(500);
  expect(percentiles.all.p50).toBeGreaterThanOrEqual(1_000_000);
  expect(hops.league.every(({ since_yesterday }) => since_yesterday === null)).toBe(true);
});

test("the overview tells what the slowest tenth shares, and of few operations nothing", () => {
  const columns = columnsOf(fleetUntilNoon(2_000, 1));
  const filter = filterOf("kind=all");
  const of = (query: string) => overview(held(columns), { filter: filterOf(query), org: undefined });
  const { differences: told, percentiles, points } = of("kind=all");
  const { p90, max } = percentiles.all;
  const rows = select(columns, filter, undefined);
  const isSlow = (i: number) =>
    (columns.numbers.durationUs[i] ?? 0) >= p90 && (columns.numbers.durationUs[i] ?? 0) <= max;

  expect(told).toEqual(differences(columns, rows, rows.filter(isSlow)));
  expect(points).toEqual([]);
  const some = of(`min=${p90}us`);
  expect(some.points).toHaveLength(some.matching);
  expect(of("host=none")).toMatchObject({ differences: null, points: [] });
});

/** A minute of warm starts as the receiver counts them. */
function minuteOf(timeMs: number, durationsUs: readonly number[]) {
  const histogram = newHistogram();
  for (const us of durationsUs) recordDuration(histogram, us);
  return {
    ...{ timeMs, org: "acme", kind: "start", path: "warm", failed: false, count: durationsUs.length },
    ...{ maxUs: Math.max(...durationsUs), histogram: encodeHistogram(histogram) },
  };
}
