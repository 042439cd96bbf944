/** Calls back later. Passed as an argument, so that tests can let time pass. */
export interface Timers {
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** @returns what cancels it */
  after(ms: number, fn: () => void): () => void;
  /** Calls back once what is under way in this turn is done. */
  soon(fn: () => void): void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
  soon: (fn) => queueMicrotask(fn),
};
