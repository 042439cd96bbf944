import { setTimeout as sleep } from "node:timers/promises";
import { backoffMs } from "../runtime/backoff.ts";

/** How often to try again, and how long to wait in between. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly attempts: number;
  /** Before the second attempt; doubles each time. */
  readonly baseMs: number;
  /** Never longer than this, whatever the server asks for. */
  readonly maxMs: number;
}

/** Rides out a registry's restart and Docker Hub's short bursts of 429, and gives up within a quarter of a minute. */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 5, baseMs: 250, maxMs: 5_000 };

/** Waits before the attempt after `failed` ones: exponential with jitter, or what the server asked for. */
export function pause(
  policy: RetryPolicy,
  failed: number,
  askedMs: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { baseMs: firstMs, maxMs } = policy;
  const pauseMs =
    askedMs === undefined ? backoffMs({ firstMs, maxMs }, failed - 1) : Math.min(maxMs, askedMs);
  return sleep(pauseMs, undefined, { signal });
}

/** `Retry-After` in milliseconds: seconds or a date; undefined when absent or unusable. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
