import type { AttributeValue, Span, SpanKind } from "../../lib/latency/span.ts";

const KINDS: Readonly<Record<SpanKind, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
};
const STATUS = { unset: 0, ok: 1, error: 2 } as const;

/** Converts the spans of a trace to OTLP/JSON, an element of `resourceSpans` for each process. */
export function resourceSpansOf(spans: readonly Span[]): object[] {
  const processes = Map.groupBy(spans, (span) => JSON.stringify(resourceOf(span)));
  return [...processes.values()].map((ofOne) => ({
    resource: { attributes: attributesOf(ofOne[0] ? resourceOf(ofOne[0]) : {}) },
    scopeSpans: [{ scope: { name: "windhover" }, spans: ofOne.map(spanOf) }],
  }));
}

function resourceOf({ service, service_version: version, instance }: Span): Record<string, string> {
  return {
    "service.name": service,
    ...(version === undefined ? {} : { "service.version": version }),
    ...(instance === undefined ? {} : { "service.instance.id": instance }),
  };
}

function spanOf(span: Span): object {
  return {
    traceId: span.trace_id,
    spanId: span.span_id,
    ...(span.parent_span_id === undefined ? {} : { parentSpanId: span.parent_span_id }),
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanoseconds(span.start_us),
    endTimeUnixNano: nanoseconds(span.start_us + span.duration_us),
    attributes: attributesOf(span.attributes),
    events: (span.events ?? []).map(({ name, time_us, attributes }) => ({
      ...{ name, timeUnixNano: nanoseconds(time_us), attributes: attributesOf(attributes) },
    })),
    links: (span.links ?? []).map(({ trace_id, span_id }) => ({ traceId: trace_id, spanId: span_id })),
    status: {
      code: STATUS[span.status],
      ...(span.status_message === undefined ? {} : { message: span.status_message }),
    },
  };
}

function nanoseconds(us: number): string {
  return String(BigInt(Math.round(us)) * 1_000n);
}

function attributesOf(attributes: Readonly<Record<string, AttributeValue>>): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: toAnyValue(value) }));
}

function toAnyValue(value: AttributeValue): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return { arrayValue: { values: value.map(toAnyValue) } };
}
