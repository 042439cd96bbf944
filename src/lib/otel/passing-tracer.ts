import {
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Span,
  type SpanOptions,
  TraceFlags,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { isTracingSuppressed } from "@opentelemetry/core";
import { RandomIdGenerator } from "@opentelemetry/sdk-trace";

/**
 * A tracer that records nothing, for a process without an exporter. It passes an incoming trace on as it is, so that what
 * others export of it stays connected. A new trace gets an id: logs name it, and services that are called may record it.
 */
class PassingTracer implements Tracer {
  startSpan(_name: string, options?: SpanOptions, ctx = context.active()): Span {
    if (isTracingSuppressed(ctx)) return trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
    const parent = options?.root ? undefined : trace.getSpanContext(ctx);
    return trace.wrapSpanContext(parent && isSpanContextValid(parent) ? parent : newTrace());
  }

  startActiveSpan(): never {
    throw new TypeError("spans are made active with context.with");
  }
}

const tracer = new PassingTracer();

export const passing: TracerProvider = { getTracer: () => tracer };

const ids = new RandomIdGenerator();

function newTrace() {
  return { traceId: ids.generateTraceId(), spanId: ids.generateSpanId(), traceFlags: TraceFlags.SAMPLED };
}
