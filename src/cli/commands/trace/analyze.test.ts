import { describe, expect, test } from "vitest";
import { type SpanSketch, sketch } from "../../../lib/latency/analysis/span.fixture.ts";
import type { Span } from "../../../lib/latency/span.ts";
import { analyze } from "./analyze.ts";
import { isComplete } from "./spans.ts";

describe("self time", () => {
  test("is what a span has of the root's critical path", () => {
    const rows = analyze([
      span("root", "", 0, 100),
      span("a", "root", 10, 40),
      span("b", "root", 30, 40),
      span("c", "root", 90, 40),
    ])?.rows;

    expect(rows?.map((row) => [row.span.span_id, row.selfUs])).toEqual([
      ["root", 30],
      ["a", 20],
      ["b", 40],
      ["c", 10],
    ]);
  });

  test("after the end of the root counts for no hop", () => {
    const hops = analyze([
      span("root", "", 0, 100, "hover"),
      span("in", "root", 0, 50, "api"),
      span("over", "root", 90, 110, "outbox"),
      span("after", "root", 300, 100, "postgres"),
    ])?.hops;

    expect(hops).toEqual([
      { name: "api", selfUs: 50, share: 0.5 },
      { name: "hover", selfUs: 40, share: 0.4 },
      { name: "outbox", selfUs: 10, share: 0.1 },
    ]);
  });
});

describe("the root", () => {
  test("is the span without a parent, however late it came", () => {
    expect(analyze([span("a", "root", 5, 1), span("root", "", 6, 1)])?.root.span_id).toBe("root");
  });

  test("is the earliest span without its parent when none is without one", () => {
    const spans = [span("b", "a", 6, 1), span("a", "missing-too", 5, 10), span("x", "missing", 7, 1)];

    const analysis = analyze(spans);

    expect(analysis?.rows.map((row) => [row.span.span_id, row.depth, row.detached])).toEqual([
      ["a", 0, false],
      ["b", 1, false],
      ["x", 0, true],
    ]);
  });

  test("of no spans is none", () => {
    expect(analyze([])).toBeUndefined();
  });
});

describe("whatever is sent", () => {
  test("spans in cycles and spans that are their own parents appear once", () => {
    const spans = [
      span("root", "", 0, 10),
      span("a", "b", 1, 1),
      span("b", "a", 2, 1),
      span("self", "self", 3, 1),
    ];

    expect(
      analyze(spans)
        ?.rows.map((row) => row.span.span_id)
        .sort(),
    ).toEqual(["a", "b", "root", "self"]);
  });

  test("a chain of 5000 spans is arranged", () => {
    const spans = Array.from({ length: 5_000 }, (_, i) =>
      span(`${i}`, i === 0 ? "" : `${i - 1}`, i, 10_000 - i),
    );

    expect(analyze(spans)?.rows.at(-1)?.depth).toBe(4_999);
  });

  test("a root that took no time has no shares, rather than infinite ones", () => {
    expect(analyze([span("root", "", 0, 0), span("a", "root", 0, 5)])).toMatchObject({
      coverage: 0,
      rows: [{ selfShare: 0 }, { selfShare: 0 }],
    });
  });
});

test.each([
  ["with root and all parents is complete", [span("r", "", 0, 1), span("a", "r", 0, 1)], true],
  ["without its root is not", [span("a", "r", 0, 1)], false],
  ["with a parent missing is not", [span("r", "", 0, 1), span("b", "a", 0, 1)], false],
])("a trace %s", (_name, spans, complete) => {
  expect(isComplete(spans)).toBe(complete);
});

function span(id: string, parent: string, at: number, duration: number, service = "api"): Span {
  const of: SpanSketch = { id, service, at, for: duration };
  return sketch(parent === "" ? of : { ...of, parent });
}
