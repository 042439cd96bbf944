import { describe, expect, test } from "vitest";
import type { Span } from "../../lib/latency/span.ts";
import { isVisible } from "../../lib/latency/visibility.ts";
import { grow, MAX_CLIENT_SPANS_PER_TRACE, type Origin, refusal, type Summary } from "./summary.ts";

const SERVICE: Origin = { kind: "service" };
const CLIENT: Origin = { kind: "client", org: "acme" };

describe("a trace's summary", () => {
  test("does not depend on the order in which spans arrive", () => {
    const spans = [
      span({ span_id: "root", name: "root", start_us: 100, duration_us: 50 }),
      span({ span_id: "a", parent_span_id: "root", name: "early", start_us: 90, duration_us: 20 }),
      span({ span_id: "b", parent_span_id: "root", name: "late", start_us: 120, duration_us: 80 }),
    ];
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ];

    const summaries = orders.map((order) => summarize(order.flatMap((i) => spans[i] ?? [])));

    for (const summary of summaries) expect(summary).toEqual(summaries[0]);
    expect(summaries[0]).toMatchObject({
      rootName: "root",
      hasRoot: true,
      startUs: 90,
      endUs: 200,
      spans: 3,
    });
  });

  test("names the earliest span as long as there is no root", () => {
    const summary = summarize([
      span({ span_id: "b", parent_span_id: "x", name: "later", start_us: 20 }),
      span({ span_id: "a", parent_span_id: "x", name: "earliest", start_us: 10 }),
    ]);

    expect(summary).toMatchObject({ rootName: "earliest", hasRoot: false });
  });
});

describe("who owns a trace", () => {
  test("what services say counts, and a client's word only until then", () => {
    const fromClient = grow(undefined, span({ span_id: "c" }), 10, CLIENT);
    const both = grow(
      fromClient,
      span({ span_id: "s", attributes: { "windhover.org": "rival" } }),
      10,
      SERVICE,
    );

    expect([isVisible(fromClient, "acme"), isVisible(both, "acme"), isVisible(both, "rival")]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("a trace about several organisations is nobody's", () => {
    const summary = summarize([
      span({ span_id: "a", attributes: { "windhover.org": "acme" } }),
      span({ span_id: "b", attributes: { "windhover.org": "rival" } }),
      span({ span_id: "c", attributes: { "windhover.org": "acme" } }),
    ]);

    expect([isVisible(summary, "acme"), isVisible(summary, "rival"), isVisible(summary, "*")]).toEqual([
      false,
      false,
      true,
    ]);
  });
});

test("clients may add only so many spans to a trace, services go on", () => {
  let summary: Summary | undefined;
  for (let i = 0; i < MAX_CLIENT_SPANS_PER_TRACE; i++)
    summary = grow(summary, span({ span_id: `${i}` }), 10, CLIENT);

  expect(refusal(summary, 10, CLIENT)).toBe("clients may add at most 64 spans to a trace");
  expect(refusal(summary, 10, SERVICE)).toBeUndefined();
});

function summarize(spans: readonly Span[]): Summary {
  const summary = spans.reduce<Summary | undefined>(
    (before, one) => grow(before, one, 10, SERVICE),
    undefined,
  );
  if (!summary) throw new Error("no spans given");
  return summary;
}

function span(fields: Partial<Span>): Span {
  return {
    trace_id: "t",
    span_id: "s",
    name: "n",
    service: "api",
    kind: "internal",
    start_us: 0,
    duration_us: 1,
    status: "unset",
    attributes: {},
    ...fields,
  };
}
