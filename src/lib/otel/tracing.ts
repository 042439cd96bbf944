import {
  type Attributes,
  type AttributeValue,
  type Context,
  context,
  type HrTime,
  type Link,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { Fault } from "../runtime/fault.ts";
import { within } from "../runtime/wait.ts";

export { type Attributes, type Span, SpanKind } from "@opentelemetry/api";

/** The names of the attributes our own spans carry. */
export const attribute = {
  machineId: "windhover.machine.id",
  hostId: "windhover.host.id",
  imageDigest: "windhover.image.digest",
  imageReference: "windhover.image.reference",
  imageCached: "windhover.image.cached",
  reservationId: "windhover.reservation.id",
  region: "windhover.region",
  org: "windhover.org",
  /** How a VM came to be: `warm`, `template` or `cold`. */
  startPath: "windhover.start.path",
  poolDepth: "windhover.vm.pool_depth",
  bidsAsked: "windhover.auction.bids_asked",
  bidsReceived: "windhover.auction.bids_received",
  /** The stable reason of the fault a span ended with. */
  reason: "windhover.error.reason",
} as const;

/** What else a span may be given. */
export interface SpanOptions {
  /** Default internal. */
  readonly kind?: SpanKind;
  /** Traceparents of spans this one continues without being their child, e.g. the begin of a resumed saga. */
  readonly links?: readonly string[];
  /** Do nothing but call the function when there is no span above. */
  readonly onlyBelowParent?: boolean;
}

/** A span that has already happened, with its own time stamps: a guest's phases, for instance. */
export interface RecordedSpan {
  readonly name: string;
  /** Microseconds since the epoch. */
  readonly startUs: number | bigint;
  /** Microseconds since the epoch; not before the start. */
  readonly endUs: number | bigint;
  readonly attributes?: Attributes;
  /** Traceparent of the span above. Default: the active one. */
  readonly parent?: string;
}

/** The tracer of this code base. */
export function tracer(): Pick<Tracer, "startSpan"> {
  return exact;
}

const exact: Pick<Tracer, "startSpan"> = {
  startSpan(name, options, parent) {
    // Asked anew each time, because tests replace the provider.
    const span = trace.getTracer("windhover").startSpan(name, options, parent);
    if (options?.startTime === undefined) startExactly(span);
    return span;
  },
};

/**
 * Runs `fn` inside a new span, the child of the active one. The span ends when `fn` does, and is an error when it throws.
 *
 * @param name low in cardinality: ids belong into attributes
 */
export function withSpan<T>(
  name: string,
  attributes: Attributes,
  fn: (span: Span) => Promise<T>,
  options: SpanOptions = {},
): Promise<T> {
  if (options.onlyBelowParent && !trace.getActiveSpan()) return fn(trace.wrapSpanContext(NO_SPAN));
  const span = tracer().startSpan(name, {
    kind: options.kind ?? SpanKind.INTERNAL,
    attributes,
    links: (options.links ?? []).flatMap(toLink),
  });
  return context.with(trace.setSpan(context.active(), span), async () => {
    try {
      return await fn(span);
    } catch (err) {
      failSpan(span, err);
      throw err;
    } finally {
      span.end();
    }
  });
}

/** Marks a span as failed with `err`. */
export function failSpan(span: Span, err: unknown): void {
  if (err instanceof Fault) {
    span.setAttributes({ "error.type": err.code, [attribute.reason]: err.reason });
  } else {
    span.setAttribute("error.type", err instanceof Error ? err.name : "_OTHER");
    if (err instanceof Error) span.recordException(err);
  }
  span.setStatus({ code: SpanStatusCode.ERROR, message: err instanceof Error ? err.message : String(err) });
}

/** Adds an attribute to the active span; nothing without one. */
export function annotate(name: string, value: AttributeValue): void {
  trace.getActiveSpan()?.setAttribute(name, value);
}

/** The active context as a W3C `traceparent`, to store or to send; empty when there is none. */
export function activeTraceparent(): string {
  return traceparentOf(context.active());
}

/** Runs `fn` as a child of the span that `traceparent` names. An empty or malformed one starts a new trace. */
export function withRemoteParent<T>(traceparent: string, fn: () => T): T {
  return context.with(remoteContext(traceparent), fn);
}

/** Records a span that has already happened. */
export function recordSpan(recorded: RecordedSpan): void {
  const parent = recorded.parent === undefined ? context.active() : remoteContext(recorded.parent);
  const attributes = recorded.attributes ?? {};
  const start = hrTime(recorded.startUs);
  const span = tracer().startSpan(recorded.name, { startTime: start, attributes }, parent);
  span.end(recorded.endUs < recorded.startUs ? start : hrTime(recorded.endUs));
}

/** The time now in microseconds since the epoch, as spans have it: the wall clock's, and finer than its whole milliseconds. */
export function nowUs(): number {
  const wall = Date.now();
  const fine = performance.timeOrigin + performance.now();
  // Apart once the wall clock was set since the process began.
  return Math.round(1_000 * (Math.abs(fine - wall) <= LONGEST_ROUNDING_MS ? fine : wall));
}

/** When a span that has ended began and ended, in microseconds since the epoch; undefined for one that records nothing. */
export function timesOf(span: Span): { readonly startUs: number; readonly endUs: number } | undefined {
  if (!("startTime" in span && "endTime" in span)) return undefined;
  const { startTime, endTime } = span;
  return isHrTime(startTime) && isHrTime(endTime)
    ? { startUs: us(startTime), endUs: us(endTime) }
    : undefined;
}

/** Sends what is left and stops tracing; never throws, and gives up after `timeoutMs`. The last thing a program closes. */
export async function flushTelemetry(timeoutMs = 2_000): Promise<void> {
  const provider = trace.getTracerProvider();
  const actual: unknown = provider instanceof ProxyTracerProvider ? provider.getDelegate() : provider;
  if (!hasFlush(actual)) return;
  try {
    await within(timeoutMs, "flushing telemetry", () => actual.forceFlush());
  } catch {
    // Lost spans must not turn a clean exit into a failure.
  }
}

/** One for the millisecond that was cut off, and some for making the span. */
const LONGEST_ROUNDING_MS = 1.5;

const NO_SPAN: SpanContext = { traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 };

/**
 * The SDK takes a span's start from the wall clock, in whole milliseconds, and only its duration is exact. Of a start that takes forty of them, every
 * span would be off by up to one, against the others and against the guest's. Does nothing when the wall clock was set since the process began.
 */
function startExactly(span: Span): void {
  if (!("startTime" in span) || !isHrTime(span.startTime)) return;
  const [seconds, nanos] = span.startTime;
  const behind = performance.timeOrigin + performance.now() - (seconds * 1_000 + nanos / 1e6);
  if (behind <= 0 || behind > LONGEST_ROUNDING_MS) return;
  const exact = nanos + Math.round(behind * 1e6);
  span.startTime[0] = seconds + Math.floor(exact / 1e9);
  span.startTime[1] = exact % 1e9;
}

function us([seconds, nanos]: HrTime): number {
  return seconds * 1e6 + nanos / 1e3;
}

function isHrTime(time: unknown): time is HrTime {
  return Array.isArray(time) && time.length === 2;
}

function traceparentOf(ctx: Context): string {
  const carrier: { traceparent?: string } = {};
  propagation.inject(ctx, carrier);
  return carrier.traceparent ?? "";
}

function remoteContext(traceparent: string): Context {
  return traceparent === "" ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });
}

function toLink(traceparent: string): Link[] {
  const spanContext = trace.getSpanContext(remoteContext(traceparent));
  return spanContext ? [{ context: spanContext }] : [];
}

function hrTime(us: number | bigint): HrTime {
  const whole = typeof us === "bigint" ? us : BigInt(Math.round(us));
  return [Number(whole / 1_000_000n), Number(whole % 1_000_000n) * 1_000];
}

function hasFlush(provider: unknown): provider is { forceFlush(): Promise<void> } {
  return typeof provider === "object" && provider !== null && "forceFlush" in provider;
}
