import { machineOf, orgOf, type Span } from "./span.ts";

/** More spans than this of one trace are counted, not kept. */
export const MAX_SPANS_PER_TRACE = 5_000;
/** More of one trace than this is counted, not kept: a trace is answered in one piece. */
export const MAX_BYTES_PER_TRACE = 8 * 1024 * 1024;
/** Spans that clients may add to one trace. `hover` sends one. */
export const MAX_CLIENT_SPANS_PER_TRACE = 64;

/** Stands for "more than one organisation"; no slug looks like it. */
const SEVERAL = "*";

/** What is known of a trace without reading its spans. Grows span by span, in whatever order they arrive. */
export interface Summary {
  readonly traceId: string;
  /** The root's name; as long as no root has arrived, the name of the earliest span. */
  readonly rootName: string;
  readonly rootService: string;
  readonly rootStartUs: number;
  /** A span without a parent has arrived. */
  readonly hasRoot: boolean;
  readonly startUs: number;
  readonly endUs: number;
  readonly spans: number;
  readonly bytes: number;
  /** Spans that were over the bounds. */
  readonly dropped: number;
  readonly clientSpans: number;
  /** A span is about a machine: what people look for, unlike the services' own regular calls. */
  readonly aboutMachine: boolean;
  /** The organisation that the services' spans name; "*" when they name several, undefined when none. */
  readonly owner: string | undefined;
  /** The same for spans that clients sent. */
  readonly clientOwner: string | undefined;
}

/** Where a span came from: a service, which is believed, or a client, which speaks for its own organisation only. */
export type Origin = { readonly kind: "service" } | { readonly kind: "client"; readonly org: string };

/** The summary after `span` has been kept. Must not be called twice for one span. */
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

/** Why one more span of this trace is not kept, or undefined when it is. */
export function refusal(trace: Summary | undefined, bytes: number, origin: Origin): string | undefined {
  if (!trace) return undefined;
  if (trace.spans >= MAX_SPANS_PER_TRACE) return `a trace holds at most ${MAX_SPANS_PER_TRACE} spans`;
  if (trace.bytes + bytes > MAX_BYTES_PER_TRACE) return `a trace holds at most ${MAX_BYTES_PER_TRACE} bytes`;
  if (origin.kind === "client" && trace.clientSpans >= MAX_CLIENT_SPANS_PER_TRACE) {
    return `clients may add at most ${MAX_CLIENT_SPANS_PER_TRACE} spans to a trace`;
  }
  return undefined;
}

/**
 * Whether a reader of `org` may see a trace: the services' word decides; a client's only where no service has said anything,
 * so nobody can claim another's trace by adding a span to it.
 */
export function isVisible(trace: Pick<Summary, "owner" | "clientOwner">, org: string): boolean {
  return (trace.owner ?? trace.clientOwner) === org;
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
