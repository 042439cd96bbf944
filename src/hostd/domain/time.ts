/** Waits; resolves early, without an error, when `signal` aborts. Does not keep the process alive: a stop's grace may be minutes. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms).unref();
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Whether `work` ends within `ms`; its failure counts as an end. `hurry` may end the waiting early. */
export async function endsWithin(ms: number, work: Promise<unknown>, hurry?: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  try {
    return await Promise.race([
      work.then(
        () => true,
        () => true,
      ),
      pause(ms, hurry ? AbortSignal.any([over.signal, hurry]) : over.signal).then(() => false),
    ]);
  } finally {
    over.abort();
  }
}

/** A limit of time put on some work. */
export interface TimeLimit {
  /** Aborts when the time is over, or with the reason of the signal that it was made from. */
  readonly signal: AbortSignal;
  /** Whether the time is over. */
  readonly isOver: boolean;
  /** Ends the work before its time. */
  abort(reason: unknown): void;
  /** The work has ended: takes the timer and the listener back. `AbortSignal.timeout` would keep its own for all of the time. */
  clear(): void;
}

/** Limits work to `ms`, and to `signal`. Clear it at the end. */
export function limitTo(ms: number, signal: AbortSignal): TimeLimit {
  const abort = new AbortController();
  let isOver = false;
  const onAbort = (): void => abort.abort(signal.reason);
  const timer = setTimeout(() => {
    isOver = true;
    abort.abort(new DOMException(`it took longer than ${ms} ms`, "TimeoutError"));
  }, ms).unref();
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return {
    signal: abort.signal,
    get isOver() {
      return isOver;
    },
    abort: (reason) => abort.abort(reason),
    clear: () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    },
  };
}
