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

/** Parses `Retry-After`, in seconds or as a date, to milliseconds; undefined when absent or unusable. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
