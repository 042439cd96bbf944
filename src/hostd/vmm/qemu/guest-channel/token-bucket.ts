export class TokenBucket {
  readonly #bytesPerMs: number;
  readonly #burst: number;
  #left: number;
  #atMs = 0;

  constructor(bytesPerSecond: number, burst: number) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#burst = this.#left = burst;
  }

  /** Takes `bytes` at `nowMs`; returns the milliseconds until the bucket is no longer overdrawn. */
  take(bytes: number, nowMs: number): number {
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#bytesPerMs) - bytes;
    this.#atMs = nowMs;
    return this.#left >= 0 ? 0 : Math.ceil(-this.#left / this.#bytesPerMs);
  }
}
