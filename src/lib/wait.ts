import { setTimeout as after } from "node:timers/promises";
import { Fault } from "./fault.ts";

/** Waits; resolves early, without an error, when `signal` aborts. Does not keep the process alive by itself. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  try {
    await after(ms, undefined, signal ? { signal, ref: true } : { ref: true });
  } catch {
    // Only an abort ends it early.
  }
}

/**
 * Gives `work` at most `ms` milliseconds; its signal aborts when they are over or `signal` does.
 *
 * @throws Fault DEADLINE_EXCEEDED / `DEADLINE_EXCEEDED` naming `what` when the time is over; the abort's fault when aborted
 */
export async function within<T>(
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const over = new Promise<never>((_, reject) => {
    const end = (reason: unknown) => {
      abort.abort(reason);
      reject(reason);
    };
    timer = setTimeout(() => end(overdue(what, ms)), ms);
    onAbort = () => end(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work(abort.signal), over]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  }
}

function overdue(what: string, ms: number): Fault {
  return new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", `${what} took longer than ${ms} ms`, {
    what,
    timeout_ms: String(ms),
  });
}
