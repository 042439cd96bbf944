import type { Span, SpanKind } from "../../lib/latency/span.ts";
import { attributesOf, isRecord, listOf, shorten } from "./values.ts";

/** The spans of an export request. */
export interface Normalized {
  readonly spans: readonly Span[];
  /** Number of refused spans. */
  readonly rejected: number;
  /** Why, each reason once. */
  readonly problems: readonly string[];
}

/** Further spans of a request are refused. */
export const MAX_SPANS_PER_REQUEST = 20_000;
/** A span that is larger as JSON loses its events, and then its attributes. */
const MAX_SPAN_BYTES = 64 * 1024;

const MAX_NAME = 256;
const MAX_EVENTS = 64;
const KINDS: readonly SpanKind[] = ["internal", "internal", "server", "client", "producer", "consumer"];
const STATUSES = ["unset", "ok", "error"] as const;

/** Converts an OTLP/JSON export request. Refuses wrong spans, and cuts the others to size. */
export function normalize(request: unknown, maxSpans: number = MAX_SPANS_PER_REQUEST): Normalized {
  const spans: Span[] = [];
  const problems = new Set<string>();
  let rejected = 0;
  for (const { service, raw } of rawSpans(request)) {
    const problem = spans.length >= maxSpans ? `a request holds at most ${maxSpans} spans` : defect(raw);
    if (problem === undefined && isRecord(raw)) spans.push(toSpan(raw, service));
    else {
      rejected += 1;
      problems.add(problem ?? "a span must be an object");
    }
  }
  return { spans, rejected, problems: [...problems] };
}

function* rawSpans(request: unknown): Generator<{ service: string; raw: unknown }> {
  for (const resourceSpans of listOf(request, "resourceSpans")) {
    const resource = isRecord(resourceSpans) ? resourceSpans["resource"] : undefined;
    const name = attributesOf(listOf(resource, "attributes"))["service.name"];
    const service = typeof name === "string" && name !== "" ? shorten(name, MAX_NAME) : "unknown";
    for (const scope of listOf(resourceSpans, "scopeSpans")) {
      for (const raw of listOf(scope, "spans")) yield { service, raw };
    }
  }
}

function defect(raw: unknown): string | undefined {
  if (!isRecord(raw)) return "a span must be an object";
  if (!isId(raw["traceId"], 32)) return "traceId must be 32 hex digits, not all zero";
  if (!isId(raw["spanId"], 16)) return "spanId must be 16 hex digits, not all zero";
  const parent = raw["parentSpanId"];
  if (parent !== undefined && parent !== "" && !isHex(parent, 16))
    return "parentSpanId must be 16 hex digits or empty";
  if (microseconds(raw["startTimeUnixNano"]) === undefined)
    return "startTimeUnixNano must be nanoseconds since 1970";
  if (microseconds(raw["endTimeUnixNano"]) === undefined)
    return "endTimeUnixNano must be nanoseconds since 1970";
  return undefined;
}

/** Converts a span in which {@link defect} has found nothing wrong. */
function toSpan(raw: Record<string, unknown>, service: string): Span {
  const start = microseconds(raw["startTimeUnixNano"]) ?? 0;
  const end = microseconds(raw["endTimeUnixNano"]) ?? start;
  const parent = String(raw["parentSpanId"] ?? "").toLowerCase();
  const status = isRecord(raw["status"]) ? raw["status"] : {};
  const message = status["message"];
  const events = listOf(raw, "events").slice(0, MAX_EVENTS).filter(isRecord);
  return fitted({
    trace_id: String(raw["traceId"]).toLowerCase(),
    span_id: String(raw["spanId"]).toLowerCase(),
    ...(/^0*$/.test(parent) ? {} : { parent_span_id: parent }),
    name: nameOf(raw["name"]),
    service,
    kind: KINDS[Number(raw["kind"])] ?? "internal",
    start_us: start,
    duration_us: Math.max(0, end - start),
    status: STATUSES[Number(status["code"])] ?? "unset",
    ...(typeof message === "string" && message !== "" ? { status_message: shorten(message, 1_024) } : {}),
    attributes: attributesOf(listOf(raw, "attributes")),
    ...(events.length > 0 ? { events: events.map((event) => toEvent(event, start)) } : {}),
  });
}

function toEvent(raw: Record<string, unknown>, fallbackUs: number) {
  return {
    name: nameOf(raw["name"]),
    time_us: microseconds(raw["timeUnixNano"]) ?? fallbackUs,
    attributes: attributesOf(listOf(raw, "attributes")),
  };
}

function fitted(span: Span): Span {
  if (sizeOf(span) <= MAX_SPAN_BYTES) return span;
  const { events: _dropped, ...rest } = span;
  return sizeOf(rest) <= MAX_SPAN_BYTES ? rest : { ...rest, attributes: {} };
}

function sizeOf(span: Span): number {
  return Buffer.byteLength(JSON.stringify(span));
}

function nameOf(raw: unknown): string {
  return typeof raw === "string" && raw !== "" ? shorten(raw, MAX_NAME) : "(no name)";
}

function microseconds(nanos: unknown): number | undefined {
  if (typeof nanos === "number") {
    return Number.isFinite(nanos) && nanos >= 0 && nanos < 2 ** 64 ? Math.floor(nanos / 1_000) : undefined;
  }
  if (typeof nanos !== "string" || !/^\d{1,20}$/.test(nanos)) return undefined;
  const micros = BigInt(nanos) / 1_000n;
  return micros <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(micros) : undefined;
}

function isId(value: unknown, digits: number): boolean {
  return isHex(value, digits) && !/^0*$/.test(String(value));
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === "string" && value.length === digits && /^[0-9a-fA-F]+$/.test(value);
}
