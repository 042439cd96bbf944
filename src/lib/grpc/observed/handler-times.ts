import { trace } from "@opentelemetry/api";
import { attribute, nowUs, recordSpan, startOf } from "../../otel/tracing.ts";

/** Records that the call of the active span has waited for its turn, which comes now. */
export function recordTurn(startUs: number): void {
  recordSpan({ name: "api.turn", startUs, endUs: nowUs() });
}

/**
 * Runs the handler of a call, and records when it began and was done, as attributes of the call's span. What the span
 * has before and behind it (the token is checked, the message read; the answer is written) is drawn from these as
 * `rpc.receive` and `rpc.send`: as spans they would cost as much as any others, at the service and at the receiver.
 */
export function betweenTimes<T>(handler: () => Promise<T>): Promise<T> {
  const span = trace.getActiveSpan();
  const startUs = span?.isRecording() ? startOf(span) : undefined;
  if (!span || startUs === undefined) return handler();
  const note = (name: string, atUs: number) => {
    // The caller may have gone, and the span have ended.
    if (span.isRecording()) span.setAttribute(name, atUs - startUs);
  };
  const beganUs = nowUs();
  let done: Promise<T>;
  try {
    done = handler();
  } finally {
    // Only now: the handler has made its first call, and waits for nothing here.
    note(attribute.handlerBegan, beganUs);
  }
  const noteDone = () => note(attribute.handlerDone, nowUs());
  // Not awaited: the answer goes its way without another turn.
  done.then(noteDone, noteDone);
  return done;
}
