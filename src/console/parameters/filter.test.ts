import { describe, expect, test } from "vitest";
import { Fault } from "../../lib/faults/fault.ts";
import { readFilter } from "./filter.ts";
import { DEFAULT_OBJECTIVES, parseObjective } from "./objectives.ts";

const NOW = Date.UTC(2026, 0, 31, 12);

function read(query: string) {
  return readFilter(new URLSearchParams(query), NOW, ["by"]);
}

/** The fields at fault, in their order. */
function wrong(query: string): string[] {
  try {
    read(query);
  } catch (err) {
    if (err instanceof Fault) return err.violations.map(({ field }) => field);
  }
  return [];
}

describe("the parameters of a query", () => {
  test("are by default the starts of the last hour", () => {
    expect(read("")).toEqual({
      ...{ kind: "start", sinceMs: NOW - 3_600_000, untilMs: NOW, words: new Map(), outcome: undefined },
      ...{ minUs: 0, maxUs: Number.POSITIVE_INFINITY, box: undefined },
    });
  });

  test("take durations, instants, several values and exclusions", () => {
    const filter = read(
      "kind=all&since=2026-01-31T10:00:00Z&until=1769857200000&host=a&host=!b&path=&min=800us&max=1.5s&outcome=failed&box=1,2,3,4",
    );

    expect(filter).toMatchObject({ kind: undefined, outcome: "failed", minUs: 800, maxUs: 1_500_000 });
    expect([filter.sinceMs, filter.untilMs]).toEqual([Date.UTC(2026, 0, 31, 10), 1_769_857_200_000]);
    expect(filter.words.get("host")).toEqual({ included: new Set(["a"]), excluded: new Set(["b"]) });
    expect(filter.words.get("path")).toEqual({ included: new Set([""]), excluded: new Set() });
    expect(filter.box).toEqual({ fromMs: 1, untilMs: 2, minUs: 3, maxUs: 4 });
  });

  test("that are wrong are all named at once", () => {
    const query =
      "kind=restart&since=yesterday&until=soon&min=1&max=x&outcome=maybe&box=1,2&colour=red&host=" +
      "h".repeat(300);

    expect(wrong(query).toSorted()).toEqual(
      ["box", "colour", "host", "kind", "max", "min", "outcome", "since", "until"].toSorted(),
    );
  });

  test.each([
    ["since=2026-01-31T13:00:00Z", ["since"]],
    ["since=9999d", ["since"]],
    ["min=2s&max=1s", ["min"]],
    ["kind=start&kind=create", ["kind"]],
    [`${"host=a&".repeat(33)}`, ["host"]],
    ["box=2,1,3,4", ["box"]],
    ["box=1,2,3,3", ["box"]],
    ["until=99999999999999999999", ["until"]],
    ["__proto__=1", ["__proto__"]],
    ["by=host&by=app", ["by"]],
  ])("%s is refused", (query, fields) => {
    expect(wrong(query)).toEqual(fields);
  });
});

describe("objectives", () => {
  test("are read from one line", () => {
    expect(["start/warm=100ms@99.9", "create=30s"].map(parseObjective)).toEqual([
      { kind: "start", path: "warm", targetUs: 100_000, goal: 0.9990000000000001 },
      { kind: "create", path: "", targetUs: 30_000_000, goal: 0.99 },
    ]);
  });

  test("that are the default can be read", () => {
    const kinds = DEFAULT_OBJECTIVES.split(",").map((each) => parseObjective(each).kind);
    expect(new Set(kinds)).toEqual(new Set(["start", "wake", "create"]));
  });

  test.each(["start", "restart=1s", "start=0ms", "start=1s@0", "start=1s@100", "start=soon"])(
    "%s is none",
    (text) => {
      expect(() => parseObjective(text)).toThrow("must be KIND[/PATH]=DURATION[@PERCENT]");
    },
  );
});
