/** How often a connection may do something: `burst` times at once, and `perSecond` in the long run. */
export interface Pace {
  readonly burst: number;
  readonly perSecond: number;
}

/** What is left of a {@link Pace}. */
export class Credit {
  #left: number | undefined;
  #atMs = 0;

  /** Takes one. Returns whether there was any. */
  take({ burst, perSecond }: Pace, nowMs: number): boolean {
    const earned = ((nowMs - this.#atMs) * perSecond) / 1_000;
    const left = this.#left === undefined ? burst : Math.min(burst, this.#left + earned);
    this.#atMs = nowMs;
    this.#left = left < 1 ? left : left - 1;
    return left >= 1;
  }
}
