/** What a guest's output costs, in bytes of its rate: the work that it makes, besides its bytes. */
export const COST = {
  /** Finding and queueing one frame of lines. */
  frame: 1_024,
  /** Decoding one frame that is not lines. */
  control: 4_096,
  /** Storing one line, however short. */
  line: 256,
} as const;

/** A rate of cost that may be overdrawn once; the overdraft is waited for. */
export class TokenBucket {
  readonly #costPerMs: number;
  readonly #burst: number;
  #left: number;
  #atMs = 0;

  constructor(costPerSecond: number, burst: number) {
    this.#costPerMs = costPerSecond / 1_000;
    this.#burst = this.#left = burst;
  }

  /** Takes `cost` at `nowMs`; returns the milliseconds until the bucket is no longer overdrawn. */
  take(cost: number, nowMs: number): number {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#costPerMs) - cost;
    this.#atMs = nowMs;
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#costPerMs);
  }
}
