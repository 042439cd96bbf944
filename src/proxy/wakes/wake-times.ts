import type { Wake } from "../route.ts";
import type { Start } from "./start.ts";

/** Says what a request waited for: the parts of its wait before, during and after a start. */
export function wakeOf(start: Start, enteredMs: number, placedMs: number): Wake {
  const startedMs = start.startedMs ?? placedMs;
  const readyMs = start.readyMs ?? placedMs;
  const during = (fromMs: number, toMs: number) =>
    Math.max(0, Math.min(toMs, placedMs) - Math.max(fromMs, enteredMs));
  return {
    path: start.path || "unknown",
    queueMs: during(enteredMs, start.askedMs) + during(readyMs, placedMs),
    startMs: during(start.askedMs, startedMs),
    readyMs: during(startedMs, readyMs),
    traceId: start.traceId,
    ...(start.span && { span: start.span }),
  };
}
