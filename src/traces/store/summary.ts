import { machineOf, orgOf, type Span } from "../../lib/latency/span.ts";
import type { Tier } from "./tiers.ts";

/** Further spans of a trace are counted, not stored. */
const MAX_SPANS_PER_TRACE = 5_000;
/** Largest trace in bytes, since a trace is answered in one piece. */
const MAX_BYTES_PER_TRACE = 8 * 1024 * 1024;
/** Spans that clients may add to one trace. `hover` sends one. */
export const MAX_CLIENT_SPANS_PER_TRACE = 64;

/** Stands for several organisations; no slug looks like it. */
const SEVERAL = "*";

/** A trace without its spans. Grows span by span, in any order. */
export interface Summary {
  readonly traceId: string;
  /** The root's name; as long as no root has arrived, the name of the earliest span. */
  readonly rootName: string;
  readonly rootService: string;
  readonly rootStartUs: number;
  readonly hasRoot: boolean;
  readonly startUs: number;
  readonly endUs: number;
  readonly spans: number;
  readonly bytes: number;
  /** Spans over the bounds. */
  readonly dropped: number;
  readonly clientSpans: number;
  /** Whether a span is about a machine, unlike those of the services' regular calls. */
  readonly aboutMachine: boolean;
  /** The organisation that the services' spans name; "*" for several, undefined for none. */
  readonly owner: string | undefined;
  /** The same for spans that clients sent. */
  readonly clientOwner: string | undefined;
}

/** The sender of a span: a trusted service, or a client, for its own organisation only. */
export type Origin = { readonly kind: "service" } | { readonly kind: "client"; readonly org: string };

/** Adds a span to a summary. Must not be called twice for one span. */
export function grow(before: Summary | undefined, span: Span, bytes: number, origin: Origin): Summary {
  const was = before ?? empty(span);
  const isRoot = span.parent_span_id === undefined;
  const takesRoot =
    before === undefined ||
    (isRoot && !was.hasRoot) ||
    (isRoot === was.hasRoot && span.start_us < was.rootStartUs);
  const fromClient = origin.kind === "client";
  return {
    ...was,
    ...(takesRoot ? { rootName: span.name, rootService: span.service, rootStartUs: span.start_us } : {}),
    hasRoot: was.hasRoot || isRoot,
    startUs: Math.min(was.startUs, span.start_us),
    endUs: Math.max(was.endUs, span.start_us + span.duration_us),
    spans: was.spans + 1,
    bytes: was.bytes + bytes,
    clientSpans: was.clientSpans + (fromClient ? 1 : 0),
    aboutMachine: was.aboutMachine || machineOf(span) !== undefined,
    owner: fromClient ? was.owner : join(was.owner, orgOf(span)),
    clientOwner: fromClient ? join(was.clientOwner, origin.org) : was.clientOwner,
  };
}

/** Tier of a trace as long as its operations are not known. */
export function provisionalTier(trace: Summary): Tier {
  if (trace.clientSpans === trace.spans) return "client";
  return trace.aboutMachine || trace.clientSpans > 0 ? "recent" : "background";
}

/** Says why a trace takes no further span; undefined when it does. */
export function refusal(trace: Summary | undefined, bytes: number, origin: Origin): string | undefined {
  if (!trace) return undefined;
  if (trace.spans >= MAX_SPANS_PER_TRACE) return `a trace holds at most ${MAX_SPANS_PER_TRACE} spans`;
  if (trace.bytes + bytes > MAX_BYTES_PER_TRACE) return `a trace holds at most ${MAX_BYTES_PER_TRACE} bytes`;
  if (origin.kind === "client" && trace.clientSpans >= MAX_CLIENT_SPANS_PER_TRACE) {
    return `clients may add at most ${MAX_CLIENT_SPANS_PER_TRACE} spans to a trace`;
  }
  return undefined;
}

function empty(span: Span): Summary {
  return {
    traceId: span.trace_id,
    rootName: span.name,
    rootService: span.service,
    rootStartUs: span.start_us,
    hasRoot: false,
    startUs: span.start_us,
    endUs: span.start_us,
    spans: 0,
    bytes: 0,
    dropped: 0,
    clientSpans: 0,
    aboutMachine: false,
    owner: undefined,
    clientOwner: undefined,
  };
}

function join(known: string | undefined, said: string | undefined): string | undefined {
  if (said === undefined || known === said) return known;
  return known === undefined ? said : SEVERAL;
}
