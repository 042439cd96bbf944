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
import { Fault } from "../faults/fault.ts";
import { within } from "../runtime/wait.ts";

export { type Attributes, type Span, SpanKind } from "@opentelemetry/api";

export const attribute = {
  machineId: "windhover.machine.id",
  hostId: "windhover.host.id",
  hostName: "windhover.host.name",
  imageDigest: "windhover.image.digest",
  imageReference: "windhover.image.reference",
  imageCached: "windhover.image.cached",
  reservationId: "windhover.reservation.id",
  region: "windhover.region",
  org: "windhover.org",
  startPath: "windhover.start.path",
  bidsAsked: "windhover.auction.bids_asked",
  bidsReceived: "windhover.auction.bids_received",
  /** Reason of the fault that a span ended with. */
  reason: "windhover.error.reason",
} as const;

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Traceparents of spans that this one continues without being their child, e.g. the start of a resumed saga. */
  readonly links?: readonly string[];
  /** Makes no span when there is no parent. */
  readonly onlyBelowParent?: boolean;
}

/** A span in the past, with times of its own, e.g. a phase of a guest. */
export interface RecordedSpan {
  readonly name: string;
  /** Microseconds since the epoch. */
  readonly startUs: number | bigint;
  /** Microseconds since the epoch. */
  readonly endUs: number | bigint;
  readonly attributes?: Attributes;
  /** Traceparent of the parent. Default: the active span. */
  readonly parent?: string;
}

export function tracer(): Pick<Tracer, "startSpan"> {
  return exact;
}

const exact: Pick<Tracer, "startSpan"> = {
  startSpan(name, options, parent) {
    // Read each time, because tests replace the provider.
    const span = trace.getTracer("windhover").startSpan(name, options, parent);
    if (options?.startTime === undefined) timeExactly(span);
    return span;
  },
};

/**
 * Runs `fn` in a new span, a child of the active one. The span ends when `fn` does, as an error when it throws.
 *
 * @param name of few values: ids belong into attributes
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

export function failSpan(span: Span, err: unknown): void {
  if (err instanceof Fault) {
    span.setAttributes({ "error.type": err.code, [attribute.reason]: err.reason });
  } else {
    span.setAttribute("error.type", err instanceof Error ? err.name : "_OTHER");
    if (err instanceof Error) span.recordException(err);
  }
  span.setStatus({ code: SpanStatusCode.ERROR, message: err instanceof Error ? err.message : String(err) });
}

/** Adds an attribute to the active span, if there is one. */
export function annotate(name: string, value: AttributeValue): void {
  trace.getActiveSpan()?.setAttribute(name, value);
}

/** Returns the active context as a W3C `traceparent`; empty when there is none. */
export function activeTraceparent(): string {
  return traceparentOf(context.active());
}

/** Runs `fn` below the span that `traceparent` names. An empty or malformed one starts a new trace. */
export function withRemoteParent<T>(traceparent: string, fn: () => T): T {
  return context.with(remoteContext(traceparent), fn);
}

export function recordSpan(recorded: RecordedSpan): void {
  const parent = recorded.parent === undefined ? context.active() : remoteContext(recorded.parent);
  const attributes = recorded.attributes ?? {};
  const start = hrTime(recorded.startUs);
  const span = tracer().startSpan(recorded.name, { startTime: start, attributes }, parent);
  span.end(recorded.endUs < recorded.startUs ? start : hrTime(recorded.endUs));
}

/** Returns the wall-clock time in microseconds since the epoch, finer than its whole milliseconds, as spans have it. */
export function nowUs(): number {
  return Math.floor(1_000 * clockMs());
}

/** Returns start and end of an ended span, in microseconds since the epoch; undefined for one that is not recorded. */
export function timesOf(span: Span): { readonly startUs: number; readonly endUs: number } | undefined {
  if (!("startTime" in span && "endTime" in span)) return undefined;
  const { startTime, endTime } = span;
  return isHrTime(startTime) && isHrTime(endTime)
    ? { startUs: us(startTime), endUs: us(endTime) }
    : undefined;
}

/** Sends the spans that are left, for at most `timeoutMs`. Never throws. */
export async function flushTelemetry(timeoutMs = 2_000): Promise<void> {
  const provider = trace.getTracerProvider();
  const actual: unknown = provider instanceof ProxyTracerProvider ? provider.getDelegate() : provider;
  if (!hasFlush(actual)) return;
  try {
    await within(timeoutMs, "flushing telemetry", () => actual.forceFlush());
  } catch {
    // Lost spans do not make a clean exit a failure.
  }
}

/** What {@link clockMs} may differ from the wall clock by. */
const CLOCK_ERROR_MS = 0.5;

const NO_SPAN: SpanContext = { traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 };

/** What {@link clockMs} adds to `performance.now()`. */
let clockOffsetMs = performance.timeOrigin;

/**
 * Returns the wall-clock time in milliseconds, with fractions. Goes back only after the wall clock
 * was set, or has drifted away.
 */
function clockMs(): number {
  const beforeMs = performance.now();
  const wallMs = Date.now();
  const nowMs = performance.now();
  // The process may have been held up between two of these, so both bounds count.
  const isBehind = clockOffsetMs + nowMs < wallMs - CLOCK_ERROR_MS;
  const isAhead = clockOffsetMs + beforeMs > wallMs + 1 + CLOCK_ERROR_MS;
  if (isBehind || isAhead) clockOffsetMs = wallMs + 0.5 - (beforeMs + nowMs) / 2;
  return clockOffsetMs + nowMs;
}

/**
 * Makes the start and the end of a span exact. The SDK cuts the start down to whole milliseconds;
 * in a start of forty, spans would be off by up to one.
 */
function timeExactly(span: Span): void {
  if (!("startTime" in span) || !isHrTime(span.startTime)) return;
  [span.startTime[0], span.startTime[1]] = hrTimeOfMs(clockMs());
  const offsetMs = clockOffsetMs;
  const end = span.end.bind(span);
  span.end = (time) => end(time ?? hrTimeOfMs(offsetMs + performance.now()));
}

function hrTimeOfMs(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
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
