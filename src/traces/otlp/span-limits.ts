import type { SpanKind } from "../../lib/latency/span.ts";
import type { EncodedSpan } from "../store/rows.ts";
import { shorten } from "./values.ts";

/** The spans of an export request. */
export interface Normalized {
  readonly spans: readonly EncodedSpan[];
  /** Number of refused spans. */
  readonly rejected: number;
  /** Why, each reason once. */
  readonly problems: readonly string[];
}

/** The attributes of a resource that are kept with its spans. */
export interface Resource {
  readonly service: string;
  readonly service_version?: string;
  readonly instance?: string;
}

/** Further spans of a request are refused. */
export const MAX_SPANS_PER_REQUEST = 20_000;
const MAX_NAME = 256;
export const MAX_MESSAGE = 1_024;
export const MAX_EVENTS = 64;
export const MAX_LINKS = 64;

export const KINDS: readonly SpanKind[] = [
  ...(["internal", "internal", "server", "client", "producer", "consumer"] as const),
];
export const STATUSES = ["unset", "ok", "error"] as const;

/** What is wrong with a span. */
export const PROBLEMS = {
  traceId: "traceId must be 32 hex digits, not all zero",
  spanId: "spanId must be 16 hex digits, not all zero",
  parent: "parentSpanId must be 16 hex digits or empty",
  start: "startTimeUnixNano must be nanoseconds since 1970",
  end: "endTimeUnixNano must be nanoseconds since 1970",
} as const;

export function tooMany(maxSpans: number): string {
  return `a request holds at most ${maxSpans} spans`;
}

export function nameOf(raw: unknown): string {
  return typeof raw === "string" && raw !== "" ? shorten(raw, MAX_NAME) : "(no name)";
}

/** Reads a resource from its attributes. */
export function resourceOf(attributes: Readonly<Record<string, unknown>>): Resource {
  const text = (name: string) => {
    const value = attributes[name];
    return typeof value === "string" && value !== "" ? shorten(value, MAX_NAME) : undefined;
  };
  const [version, instance] = [text("service.version"), text("service.instance.id")];
  return {
    service: text("service.name") ?? "unknown",
    ...(version === undefined ? {} : { service_version: version }),
    ...(instance === undefined ? {} : { instance }),
  };
}
