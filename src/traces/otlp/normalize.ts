import type { Span, SpanLink } from "../../lib/latency/span.ts";
import { type EncodedSpan, encode } from "../store/rows.ts";
import * as limits from "./span-limits.ts";
import { attributesOf, isRecord, listOf, shorten } from "./values.ts";

/** Converts an OTLP/JSON export request. Refuses wrong spans, and cuts the others to size. */
export function normalize(
  request: unknown,
  maxSpans: number = limits.MAX_SPANS_PER_REQUEST,
): limits.Normalized {
  const spans: EncodedSpan[] = [];
  const problems = new Set<string>();
  let rejected = 0;
  for (const { resource, raw } of rawSpans(request)) {
    const problem = spans.length + rejected >= maxSpans ? limits.tooMany(maxSpans) : defect(raw);
    if (problem === undefined && isRecord(raw)) spans.push(encode(toSpan(raw, resource)));
    else {
      rejected += 1;
      problems.add(problem ?? "a span must be an object");
    }
  }
  return { spans, rejected, problems: [...problems] };
}

function* rawSpans(request: unknown): Generator<{ resource: limits.Resource; raw: unknown }> {
  for (const resourceSpans of listOf(request, "resourceSpans")) {
    const raw = isRecord(resourceSpans) ? resourceSpans["resource"] : undefined;
    const resource = limits.resourceOf(attributesOf(listOf(raw, "attributes")));
    for (const scope of listOf(resourceSpans, "scopeSpans")) {
      for (const span of listOf(scope, "spans")) yield { resource, raw: span };
    }
  }
}

function defect(raw: unknown): string | undefined {
  if (!isRecord(raw)) return "a span must be an object";
  if (!isId(raw["traceId"], 32)) return limits.PROBLEMS.traceId;
  if (!isId(raw["spanId"], 16)) return limits.PROBLEMS.spanId;
  const parent = raw["parentSpanId"];
  if (parent !== undefined && parent !== "" && !isHex(parent, 16)) return limits.PROBLEMS.parent;
  if (microseconds(raw["startTimeUnixNano"]) === undefined) return limits.PROBLEMS.start;
  if (microseconds(raw["endTimeUnixNano"]) === undefined) return limits.PROBLEMS.end;
  return undefined;
}

/** Converts a span in which {@link defect} has found nothing wrong. */
function toSpan(raw: Record<string, unknown>, resource: limits.Resource): Span {
  const start = microseconds(raw["startTimeUnixNano"]) ?? 0;
  const end = microseconds(raw["endTimeUnixNano"]) ?? start;
  const parent = String(raw["parentSpanId"] ?? "").toLowerCase();
  const status = isRecord(raw["status"]) ? raw["status"] : {};
  const message = status["message"];
  const events = listOf(raw, "events").slice(0, limits.MAX_EVENTS).filter(isRecord);
  const links = listOf(raw, "links").slice(0, limits.MAX_LINKS).flatMap(toLink);
  return {
    trace_id: String(raw["traceId"]).toLowerCase(),
    span_id: String(raw["spanId"]).toLowerCase(),
    ...(/^0*$/.test(parent) ? {} : { parent_span_id: parent }),
    name: limits.nameOf(raw["name"]),
    ...resource,
    kind: limits.KINDS[Number(raw["kind"])] ?? "internal",
    start_us: start,
    duration_us: Math.max(0, end - start),
    status: limits.STATUSES[Number(status["code"])] ?? "unset",
    ...(typeof message === "string" && message !== ""
      ? { status_message: shorten(message, limits.MAX_MESSAGE) }
      : {}),
    attributes: attributesOf(listOf(raw, "attributes")),
    ...(events.length > 0 ? { events: events.map((event) => toEvent(event, start)) } : {}),
    ...(links.length > 0 ? { links } : {}),
  };
}

function toEvent(raw: Record<string, unknown>, fallbackUs: number) {
  return {
    name: limits.nameOf(raw["name"]),
    time_us: microseconds(raw["timeUnixNano"]) ?? fallbackUs,
    attributes: attributesOf(listOf(raw, "attributes")),
  };
}

function toLink(raw: unknown): SpanLink[] {
  if (!isRecord(raw) || !isId(raw["traceId"], 32) || !isId(raw["spanId"], 16)) return [];
  return [{ trace_id: String(raw["traceId"]).toLowerCase(), span_id: String(raw["spanId"]).toLowerCase() }];
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
