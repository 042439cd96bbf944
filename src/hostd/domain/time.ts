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
