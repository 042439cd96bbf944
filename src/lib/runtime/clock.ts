/** Where time comes from. An argument everywhere, so tests and the simulator decide what time it is. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. May jump; for showing and storing. */
  now(): number;
  /** Milliseconds on a clock that never goes back. For measuring and for deadlines. */
  monotonicMs(): number;
}

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A clock that stands still until it is told to move: for tests. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 0;

  /** @param now where it starts, in milliseconds since the epoch */
  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonicMs(): number {
    return this.#monotonic;
  }

  /** Moves both times forward. */
  advance(ms: number): void {
    this.#now += ms;
    this.#monotonic += ms;
  }
}
