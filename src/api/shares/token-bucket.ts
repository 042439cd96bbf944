import type { Rate } from "./rates.ts";

/** Allows `burst` at once and `perSecond` in the long run. Times are in milliseconds. */
export class TokenBucket {
  #rate: Rate;
  #tokens: number;
  #atMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#atMs = nowMs;
  }

  /** Changes the rate. A full bucket stays full. */
  setRate(rate: Rate, nowMs: number): void {
    this.#refill(nowMs);
    const isFull = this.#tokens >= this.#rate.burst;
    this.#rate = rate;
    this.#tokens = isFull ? rate.burst : Math.min(this.#tokens, rate.burst);
  }

  /** Takes a token. Returns 0, or in how many milliseconds there will be one. */
  take(nowMs: number): number {
    this.#refill(nowMs);
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return ((1 - this.#tokens) / this.#rate.perSecond) * 1_000;
  }

  /** Takes tokens for what has been done already. The debt is at most a burst. */
  charge(tokens: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens = Math.max(-this.#rate.burst, this.#tokens - tokens);
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#rate.burst;
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = nowMs;
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + (elapsedMs / 1_000) * this.#rate.perSecond);
  }
}
