import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Span } from "../span.ts";
import { criticalPath } from "./critical-path.ts";
import { type SpanSketch, START_US, sketch } from "./span.fixture.ts";

describe("the critical path", () => {
  test("goes through children one after the other, and what is left is the span's own", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 100 },
      { id: "a", parent: "op", at: 10, for: 30 },
      { id: "b", parent: "op", at: 45, for: 50 },
    ]);

    expect(path).toEqual(["op 0-10", "a 10-40", "op 40-45", "b 45-95", "op 95-100"]);
  });

  test("takes of parallel children the one that finished last", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 100 },
      { id: "store", parent: "op", at: 0, for: 60 },
      { id: "vm", parent: "op", at: 0, for: 100 },
    ]);

    expect(path).toEqual(["vm 0-100"]);
  });

  test("does not take work in the background for what came before the last child", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 90 },
      { id: "one", parent: "op", at: 0, for: 10 },
      { id: "background", parent: "op", at: 5, for: 75 },
      { id: "two", parent: "op", at: 10, for: 40 },
      { id: "three", parent: "op", at: 50, for: 40 },
    ]);

    expect(path).toEqual(["one 0-10", "two 10-50", "three 50-90"]);
  });

  test("gives time that would be unexplained to a child that overlaps the next", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 100 },
      { id: "a", parent: "op", at: 0, for: 50 },
      { id: "b", parent: "op", at: 30, for: 70 },
    ]);

    expect(path).toEqual(["a 0-30", "b 30-100"]);
  });

  test("cuts off what a child does after its parent has ended", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 50 },
      { id: "a", parent: "op", at: 20, for: 900 },
    ]);

    expect(path).toEqual(["op 0-20", "a 20-50"]);
  });

  test("follows a span that outlives its parent, where nothing else ran", () => {
    const path = pathOf("create", [
      { id: "create", at: 0, for: 90_000 },
      { id: "preflight", parent: "create", at: 0, for: 10_000 },
      { id: "saga", parent: "preflight", at: 9_000, for: 80_000 },
    ]);

    expect(path).toEqual(["preflight 0-9000", "saga 9000-89000", "create 89000-90000"]);
  });

  test("ignores what goes on in the background after the operation", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 50_000 },
      { id: "step", parent: "op", at: 0, for: 10_000 },
      { id: "cleanup", parent: "step", at: 10_000, for: 900_000 },
    ]);

    expect(path).toEqual(["step 0-10000", "op 10000-50000"]);
  });

  test("takes spans whose parents have not arrived where nothing else ran", () => {
    const path = pathOf("op", [
      { id: "op", at: 0, for: 100 },
      { id: "a", parent: "op", at: 0, for: 20 },
      { id: "orphan", parent: "lost", at: 10, for: 50 },
    ]);

    expect(path).toEqual(["a 0-20", "orphan 20-60", "op 60-100"]);
  });

  test("of an unknown span, and of one that took no time, is empty", () => {
    expect(pathOf("op", [])).toEqual([]);
    expect(
      pathOf("op", [
        { id: "op", at: 0, for: 0 },
        { id: "a", parent: "op", at: 0, for: 5 },
      ]),
    ).toEqual([]);
  });

  test("of a chain of 5,000 spans ends in the last of them", () => {
    const spans = Array.from({ length: 5_000 }, (_, i) =>
      sketch({ id: `${i}`, ...(i > 0 && { parent: `${i - 1}` }), at: i, for: 10_000 - i }),
    );

    expect(criticalPath(spans, "0").at(-1)?.spanId).toBe("4999");
  });
});

describe("whatever the spans, the segments of the path", () => {
  test("do not overlap, are in order, and together are exactly the operation", () => {
    fc.assert(
      fc.property(anySpans(), (spans) => {
        const [operation] = spans;
        if (!operation) return;
        const path = criticalPath(spans, operation.span_id);
        const durations = path.map(({ startUs, endUs }) => endUs - startUs);

        expect(sum(durations)).toBe(durationOf(operation.span_id, spans));
        expect(durations.every((duration) => duration > 0)).toBe(true);
        for (const [i, segment] of path.entries()) {
          if (i > 0) expect(segment.startUs).toBe(path[i - 1]?.endUs);
        }
      }),
    );
  });

  test("are the same in whichever order the spans came", () => {
    fc.assert(
      fc.property(
        anySpans().chain((spans) =>
          fc.tuple(fc.constant(spans), fc.shuffledSubarray(spans, { minLength: spans.length })),
        ),
        ([spans, shuffled]) => {
          const id = spans[0]?.span_id ?? "";

          expect(criticalPath(shuffled, id)).toEqual(criticalPath(spans, id));
        },
      ),
    );
  });

  test("are each within their span, where clocks agree", () => {
    fc.assert(
      fc.property(anySpans(["hostd"]), (spans) => {
        const byId = Map.groupBy(spans, (span) => span.span_id);
        for (const { spanId, startUs, endUs } of criticalPath(spans, spans[0]?.span_id ?? "")) {
          const isWithin = ({ start_us: start, duration_us: duration }: Span) =>
            start <= startUs && endUs <= start + duration;

          expect(byId.get(spanId)?.some(isWithin)).toBe(true);
        }
      }),
    );
  });
});

/** Spans with parents that are missing, later, themselves, or each other's. */
function anySpans(services: readonly string[] = ["api", "hostd", "proxy"]): fc.Arbitrary<Span[]> {
  const id = fc.integer({ min: 0, max: 14 }).map(String);
  const one = fc
    .record({
      id,
      parent: fc.option(id, { nil: undefined }),
      service: fc.constantFrom(...services),
      kind: fc.constantFrom("internal" as const, "client" as const, "server" as const),
      at: fc.integer({ min: 0, max: 20_000 }),
      for: fc.integer({ min: 0, max: 20_000 }),
    })
    .map(({ parent, ...rest }) => sketch({ ...rest, ...(parent !== undefined && { parent }) }));
  return fc.array(one, { maxLength: 25 });
}

/** Of spans with one id the first by time counts, and of those the longest. */
function durationOf(id: string, spans: readonly Span[]): number {
  const same = spans.filter((span) => span.span_id === id);
  const [first] = same.sort((a, b) => a.start_us - b.start_us || b.duration_us - a.duration_us);
  return first?.duration_us ?? 0;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function pathOf(operation: string, spans: readonly SpanSketch[]): string[] {
  const at = (us: number) => us - START_US;
  return criticalPath(spans.map(sketch), operation).map(
    ({ spanId, startUs, endUs }) => `${spanId} ${at(startUs)}-${at(endUs)}`,
  );
}
