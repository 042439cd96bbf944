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
 * For a process whose spans nobody gets. They record nothing, and a trace that comes in goes out as it came, so that what others export of it hangs
 * together. A trace that begins here has an id all the same: logs name it, and who is called may record it.
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

/** The provider of a process without an exporter. */
export const passing: TracerProvider = { getTracer: () => tracer };

const ids = new RandomIdGenerator();

function newTrace() {
  return { traceId: ids.generateTraceId(), spanId: ids.generateSpanId(), traceFlags: TraceFlags.SAMPLED };
}
