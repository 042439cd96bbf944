import { setTimeout as sleep } from "node:timers/promises";
import { type Backoff, backoffMs } from "../runtime/backoff.ts";

/** When to retry. A server's `Retry-After` counts up to `maxMs`. */
export interface RetryPolicy extends Backoff {
  readonly attempts: number;
}

/** Long enough for the restart of a registry and for Docker Hub's short bursts of 429: up to 15 s. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, firstMs: 250, maxMs: 5_000 };

/** Waits before the attempt after `failed` ones, as long as the server or the policy says. */
export function pause(
  policy: RetryPolicy,
  failed: number,
  afterMs: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const pauseMs = afterMs === undefined ? backoffMs(policy, failed - 1) : Math.min(policy.maxMs, afterMs);
  return sleep(pauseMs, undefined, { signal });
}

/** Dates of RFC 9110, 5.6.7. Others mean something else to `Date.parse`: `3600.5` is in the year 3600. */
const DATE = /^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/;

/** Parses `Retry-After`, in seconds or as a date, to milliseconds; undefined when absent or unusable. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+(?:\.\d*)?$/.test(text)) return Math.min(Number(text) * 1000, Number.MAX_SAFE_INTEGER);
  if (!DATE.test(text)) return undefined;
  // The oldest form has no time zone, and is not local time.
  const ms = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) - now;
  return ms >= 0 ? ms : undefined;
}
