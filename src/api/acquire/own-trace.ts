import { randomBytes } from "node:crypto";
import { context, isSpanContextValid, TraceFlags, trace } from "@opentelemetry/api";

/**
 * Runs `fn` in the trace of the call, or in a new one when there is none. Hosts store the trace id of each start, which
 * tells an acquire its own starts from those of others.
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
