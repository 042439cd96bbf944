import { describe, expect, test } from "vitest";
import { normalize } from "./normalize.ts";

const GOOD = {
  traceId: "4BF92F3577B34DA6A3CE929D0E0E4736",
  spanId: "00f067aa0ba902b7",
  name: "hostd.start",
  startTimeUnixNano: "1764000000000000000",
  endTimeUnixNano: "1764000000001500000",
};

describe("a span of OTLP/JSON", () => {
  test("becomes one with microseconds and lower-case ids", () => {
    expect(normalize(request([GOOD])).spans.map(({ span }) => span)).toEqual([
      {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        span_id: "00f067aa0ba902b7",
        name: "hostd.start",
        service: "hostd",
        kind: "internal",
        start_us: 1_764_000_000_000_000,
        duration_us: 1_500,
        status: "unset",
        attributes: {},
      },
    ]);
  });

  test.each([
    ["a parent of zeros is no parent", { parentSpanId: "0000000000000000" }, undefined],
    ["an empty parent is no parent", { parentSpanId: "" }, undefined],
    ["a parent is kept", { parentSpanId: "00F067AA0BA902B8" }, "00f067aa0ba902b8"],
  ])("%s", (_name, fields, parent) => {
    expect(normalize(request([{ ...GOOD, ...fields }])).spans[0]?.span.parent_span_id).toBe(parent);
  });

  test("that ends before it starts takes no time", () => {
    expect(normalize(request([{ ...GOOD, endTimeUnixNano: "5" }])).spans[0]?.span.duration_us).toBe(0);
  });

  test("keeps attributes of every type, and those JSON cannot hold as text", () => {
    const attributes = [
      { key: "big", value: { intValue: "9223372036854775807" } },
      { key: "small", value: { intValue: 7 } },
      { key: "nan", value: { doubleValue: "NaN" } },
      { key: "map", value: { kvlistValue: { values: [{ key: "a", value: { boolValue: true } }] } } },
      { key: "__proto__", value: { stringValue: "just a key" } },
      { key: "empty", value: {} },
      { value: { stringValue: "no key" } },
      "nonsense",
    ];

    const [encoded] = normalize(request([{ ...GOOD, attributes }])).spans;

    expect(Object.entries(encoded?.span.attributes ?? {})).toEqual([
      ["big", "9223372036854775807"],
      ["small", 7],
      ["nan", "NaN"],
      ["map", '{"a":true}'],
      ["__proto__", "just a key"],
    ]);
  });
});

describe("a request that is not one", () => {
  test.each([
    [null],
    ["text"],
    [[]],
    [{ resourceSpans: "x" }],
    [{ resourceSpans: [null, { scopeSpans: [7] }] }],
  ])("%j has no spans and breaks nothing", (body) => {
    expect(normalize(body)).toEqual({ spans: [], rejected: 0, problems: [] });
  });

  test("reports each problem once and counts the spans", () => {
    const bad = [
      { ...GOOD, spanId: "0000000000000000" },
      { ...GOOD, spanId: "xyz" },
      5,
      { ...GOOD, endTimeUnixNano: -1 },
    ];

    expect(normalize(request(bad))).toEqual({
      spans: [],
      rejected: 4,
      problems: [
        "spanId must be 16 hex digits, not all zero",
        "a span must be an object",
        "endTimeUnixNano must be nanoseconds since 1970",
      ],
    });
  });

  test("with too many spans loses the last ones", () => {
    expect(normalize(request([GOOD, GOOD, GOOD]), 2)).toMatchObject({
      rejected: 1,
      problems: ["a request holds at most 2 spans"],
    });
  });
});

function request(spans: readonly unknown[]) {
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "hostd" } }] };
  return { resourceSpans: [{ resource, scopeSpans: [{ spans }] }] };
}
