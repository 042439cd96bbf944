/** Pauses between attempts: they double from the first to the longest. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * Milliseconds to wait before the next attempt, a whole number. Up to half of the pause is taken off at random, so that clients which
 * failed together do not come back together.
 *
 * @param failures attempts that have failed before the last one, from 0
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number): number {
  return Math.round(Math.min(firstMs * 2 ** failures, maxMs) * (0.5 + Math.random() / 2));
}
