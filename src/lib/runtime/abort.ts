/**
 * Calls `fn` once when `signal` aborts, at once when it has aborted already. Disposing of the answer removes the listener.
 * Without a signal nothing is ever called.
 */
export function onAbort(signal: AbortSignal | undefined, fn: () => void): Disposable {
  if (signal?.aborted) fn();
  else signal?.addEventListener("abort", fn, { once: true });
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", fn) };
}

/** Waits for `work` until `signal` aborts, then rejects with its reason. The work itself goes on. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  const aborted = Promise.withResolvers<never>();
  using _ = onAbort(signal, () => aborted.reject(signal.reason));
  return await Promise.race([work, aborted.promise]);
}
