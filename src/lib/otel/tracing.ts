import {
  type SpanOptions as ApiSpanOptions,
  type Attributes,
  type AttributeValue,
  type Context,
  context,
  type Link,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { Fault } from "../faults/fault.ts";
import { within } from "../runtime/wait.ts";
import { hrTime, nowUs, timeExactly } from "./span-times.ts";

export { type Attributes, type Span, SpanKind } from "@opentelemetry/api";
export { nowUs, startOf, timesOf } from "./span-times.ts";

export const attribute = {
  machineId: "windhover.machine.id",
  /** Of a call's server span: when its handler began and was done, in microseconds after the span's start. */
  handlerBegan: "windhover.handler.began_us",
  handlerDone: "windhover.handler.done_us",
  hostId: "windhover.host.id",
  hostName: "windhover.host.name",
  imageDigest: "windhover.image.digest",
  imageReference: "windhover.image.reference",
  imageCached: "windhover.image.cached",
  reservationId: "windhover.reservation.id",
  region: "windhover.region",
  org: "windhover.org",
  app: "windhover.app",
  /** CPU kind, CPUs and megabytes, e.g. `shared-1x-256`. */
  size: "windhover.machine.size",
  startPath: "windhover.start.path",
  /** Why no faster start path was taken, e.g. `pool_empty`; several with commas, fastest path first. */
  notFaster: "windhover.start.not_faster",
  /** Who has begun it: `call`, or why there was none. */
  startCause: "windhover.start.cause",
  /** Starts that waited for a slot when this one came. */
  queueLength: "windhover.start.queue_length",
  /** Operations that were under way here when this one came. */
  concurrency: "windhover.operation.concurrency",
  /** Whether there was nothing to do. */
  already: "windhover.operation.already",
  /** Whether it only waited for an operation that another call had begun. */
  joined: "windhover.operation.joined",
  /** VMs in the warm pool that would do, when this start had its slot. */
  poolSize: "windhover.pool.size",
  /** Milliseconds that the pool took to replace the VM of an earlier start. */
  refillMs: "windhover.pool.refill_ms",
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
  /** Why it has failed, as the reason of a fault. Absent: it has not. */
  readonly reason?: string;
  /** Traceparent of the parent. Default: the active span. */
  readonly parent?: string;
  /** As of {@link SpanOptions}. */
  readonly links?: readonly string[];
}

export function tracer(): Pick<Tracer, "startSpan"> {
  return exact;
}

const exact: Pick<Tracer, "startSpan"> = {
  startSpan(name, options, parent) {
    const span = current().startSpan(name, options, parent);
    if (options?.startTime === undefined) timeExactly(span);
    return span;
  },
};

let known: { readonly provider: TracerProvider; readonly tracer: Tracer } | undefined;

function current(): Tracer {
  // Compared each time, because tests replace the provider.
  const provider = trace.getTracerProvider();
  if (known?.provider !== provider) known = { provider, tracer: provider.getTracer("windhover") };
  return known.tracer;
}

/** Whether spans below one that is not recorded are not recorded either. */
let followsParents = false;

/** Says how this process samples. @param follows whether a span is recorded if and only if its parent is */
export function samplesByParent(follows: boolean): void {
  followsParents = follows;
}

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
  const parent = trace.getActiveSpan();
  if (options.onlyBelowParent && !parent) return fn(trace.wrapSpanContext(NO_SPAN));
  // The parent's context says all that there is to pass on.
  if (followsParents && parent && isUnsampled(parent)) return unspanned(fn, parent);
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

/** Rejects where `fn` throws, as it would in a span. */
async function unspanned<T>(fn: (span: Span) => Promise<T>, parent: Span): Promise<T> {
  return fn(trace.wrapSpanContext(parent.spanContext()));
}

function isUnsampled(span: Span): boolean {
  const { traceId, traceFlags } = span.spanContext();
  return (traceFlags & TraceFlags.SAMPLED) === 0 && traceId !== NO_SPAN.traceId;
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

/** Starts a span below the one that `traceparent` names. An empty or malformed one starts a new trace. */
export function startSpanBelow(traceparent: string, name: string, options: ApiSpanOptions): Span {
  return tracer().startSpan(name, options, remoteContext(traceparent));
}

export function recordSpan(recorded: RecordedSpan): void {
  const parent = recorded.parent === undefined ? context.active() : remoteContext(recorded.parent);
  const above = trace.getSpan(parent);
  if (followsParents && above && isUnsampled(above)) return;
  const attributes = recorded.attributes ?? {};
  const start = hrTime(recorded.startUs);
  const links = recorded.links?.flatMap(toLink) ?? [];
  const span = tracer().startSpan(recorded.name, { startTime: start, attributes, links }, parent);
  if (recorded.reason !== undefined) {
    span.setAttributes({ "error.type": recorded.reason, [attribute.reason]: recorded.reason });
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(recorded.endUs < recorded.startUs ? start : hrTime(recorded.endUs));
}

/** Records a wait that ends now, below the active span. One that is shorter than {@link NO_WAIT_US} was none. */
export function recordWait(name: string, startUs: number, attributes: Attributes = {}): void {
  const endUs = nowUs();
  if (endUs - startUs >= NO_WAIT_US) recordSpan({ name, startUs, endUs, attributes });
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

/** Microseconds in which whoever need not wait is given what it asks for. */
const NO_WAIT_US = 100;

const NO_SPAN: SpanContext = { traceId: "0".repeat(32), spanId: "0".repeat(16), traceFlags: 0 };

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

function hasFlush(provider: unknown): provider is { forceFlush(): Promise<void> } {
  return typeof provider === "object" && provider !== null && "forceFlush" in provider;
}
