import { type Span, trace } from "@opentelemetry/api";
import { nowUs, recordSpan, startOf, timesOf } from "../../otel/tracing.ts";

/** When handlers were done, by the spans of their calls. Microseconds since the epoch. */
const doneUs = new WeakMap<Span, number>();

/** Until when calls waited for their turn, by their spans. */
const turnUs = new WeakMap<Span, number>();

/** Records that the call of the active span has waited for its turn, which comes now, and what came before. */
export function recordTurn(startUs: number): void {
  const endUs = nowUs();
  const span = trace.getActiveSpan();
  const receivedUs = span && startOf(span);
  if (receivedUs !== undefined) recordSpan({ name: "rpc.receive", startUs: receivedUs, endUs: startUs });
  recordSpan({ name: "api.turn", startUs, endUs });
  if (span) turnUs.set(span, endUs);
}

/**
 * Runs the handler of a call, and records what the call's span has before and behind it:
 * `rpc.receive` (the token is checked, the message read) and `rpc.send` (the answer is written).
 * For calls whose time is looked into: each such span costs as much as any other.
 */
export function betweenTimes<T>(handler: () => Promise<T>): Promise<T> {
  const span = trace.getActiveSpan();
  const startUs = span && (turnUs.get(span) ?? startOf(span));
  if (!span?.isRecording() || startUs === undefined) return handler();
  const endUs = nowUs();
  let done: Promise<T>;
  try {
    done = handler();
  } finally {
    // Only now: the handler has made its first call, and waits for no span.
    recordSpan({ name: "rpc.receive", startUs, endUs });
  }
  const note = () => void doneUs.set(span, nowUs());
  // Not awaited: the answer goes its way without another turn.
  done.then(note, note);
  return done;
}

/** Records `rpc.send` below a call's span that has just ended, until its very end. */
export function recordSend(span: Span): void {
  const startUs = doneUs.get(span);
  const endUs = timesOf(span)?.endUs;
  if (startUs === undefined || endUs === undefined) return;
  const { traceId, spanId, traceFlags } = span.spanContext();
  const parent = `00-${traceId}-${spanId}-0${traceFlags & 1}`;
  recordSpan({ name: "rpc.send", startUs, endUs, parent });
}
