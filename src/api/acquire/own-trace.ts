import { randomBytes } from "node:crypto";
import { context, isSpanContextValid, TraceFlags, trace } from "@opentelemetry/api";

/**
 * Runs `fn` with the id of the trace that the call belongs to, or of a new one when it belongs to none. Hosts store the trace id of each
 * start: by it an acquire knows its own.
 */
export function inTrace<T>(fn: (traceId: string) => T): T {
  const active = trace.getActiveSpan()?.spanContext();
  if (active && isSpanContextValid(active)) return fn(active.traceId);
  const made = {
    traceId: randomBytes(16).toString("hex"),
    spanId: randomBytes(8).toString("hex"),
    traceFlags: TraceFlags.NONE,
  };
  return context.with(trace.setSpanContext(context.active(), made), () => fn(made.traceId));
}
