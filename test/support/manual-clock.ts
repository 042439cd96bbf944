import type { Clock } from "../../src/lib/runtime/clock.ts";

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
