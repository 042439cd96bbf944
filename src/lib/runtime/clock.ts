/** Tells the time. Passed as an argument everywhere, so that tests and the simulator can set it. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. May jump: for display and storage. */
  now(): number;
  /** Milliseconds on a clock that never goes back: for measurements and deadlines. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A clock for tests: it moves only by {@link advance}. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;

  /** @param now start, in milliseconds since the epoch */
  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  advance(ms: number): void {
    this.#now += ms;
    this.#monotonic += ms;
  }
}
