import type { WindhoverError } from "./errors.ts";

/**
 * When a call may be repeated:
 *
 * - `always`: it reads, or a repeat finds what was done (a request id, a key, a state).
 * - `ifNotDone`: only when nothing was done: the request was never sent, or was refused before it
 *   began.
 */
export type RetryPolicy = "always" | "ifNotDone";

/** Refusals before anything was done. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...["NOT_CONNECTED", "RATE_LIMITED", "TOO_MANY_CALLS", "TOO_MANY_STREAMS", "TOO_MANY_EXECS"],
  ...["CREATES_IN_PROGRESS", "START_QUEUE_FULL", "KEY_IN_USE"],
]);
/** Errors that concern this api and not the others. */
const OF_ENDPOINT: ReadonlySet<string> = new Set(["NOT_CONNECTED", "CONNECTION_LOST", "SERVER_DRAINING"]);
const BACKOFF = { firstMs: 100, maxMs: 5_000 };

/** Whether a call that failed may be repeated. */
export function mayRetry(error: WindhoverError, policy: RetryPolicy): boolean {
  if (REFUSALS.has(error.reason)) return true;
  return policy === "always" && error.code === "UNAVAILABLE";
}

/** Whether another api may answer at once. */
export function isOfEndpoint(error: WindhoverError): boolean {
  return OF_ENDPOINT.has(error.reason);
}

/** Returns the pause before the next attempt: of the server's RetryInfo, otherwise doubling; with jitter. */
export function pauseMs(error: WindhoverError, failures: number): number {
  const asked = error.retryAfterMs;
  if (asked !== undefined && asked > 0) return asked * (1 + Math.random() / 4);
  return Math.min(BACKOFF.firstMs * 2 ** failures, BACKOFF.maxMs) * (0.5 + Math.random() / 2);
}

/** Waits, or until the signal aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end);
  });
}
