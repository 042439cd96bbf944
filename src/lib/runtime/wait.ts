import { setTimeout as after } from "node:timers/promises";
import { Fault } from "./fault.ts";

/** Waits; resolves early, without an error, when `signal` aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  try {
    await after(ms, undefined, signal ? { signal } : {});
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

/**
 * Iterates `source` until it ends or `signal` aborts; an abort throws its reason at once, even while `source` is
 * busy and does not heed the signal. Whichever way it ends, `source` is told to return, but not waited for.
 */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  // One listener for all of it: racing one long-lived promise per item would pile up reactions on that promise.
  let interrupt: (() => void) | undefined;
  const onAbort = () => interrupt?.();
  signal.addEventListener("abort", onAbort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        interrupt = () => reject(signal.reason);
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    iterator.return?.().then(undefined, () => {});
  }
}

function overdue(what: string, ms: number): Fault {
  return new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", `${what} took longer than ${ms} ms`, {
    what,
    timeout_ms: String(ms),
  });
}
