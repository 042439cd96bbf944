import type { CallOptions } from "../calls/caller.ts";

/** Deadlines of calls that name none, in milliseconds. */
export const DEFAULTS = {
  callMs: 15_000,
  startMs: 60_000,
  stopMs: 60_000,
  /** The longest grace that a configuration may have. */
  graceMs: 300_000,
  /** Images are pulled within it. */
  createMs: 300_000,
  updateMs: 300_000,
  waitMs: 60_000,
} as const;

/** Completes the bounds of a call. */
export function within(
  defaultMs: number,
  { timeoutMs = defaultMs, signal }: CallOptions,
): { readonly timeoutMs: number; readonly signal: AbortSignal | undefined } {
  return { timeoutMs, signal };
}
