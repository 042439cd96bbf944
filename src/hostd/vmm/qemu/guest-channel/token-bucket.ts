/** A bucket of bytes that fills at a steady rate: says how long to wait before taking more, once it has been overdrawn. */
export class Allowance {
  private readonly bytesPerMs: number;
  private readonly burst: number;
  private left: number;
  private atMs = 0;

  constructor(bytesPerSecond: number, burst: number) {
    this.bytesPerMs = bytesPerSecond / 1_000;
    this.burst = this.left = burst;
  }

  /** Takes `bytes` at `nowMs`; returns the milliseconds until the bucket is no longer overdrawn. */
  take(bytes: number, nowMs: number): number {
    this.left = Math.min(this.burst, this.left + (nowMs - this.atMs) * this.bytesPerMs) - bytes;
    this.atMs = nowMs;
    return this.left >= 0 ? 0 : Math.ceil(-this.left / this.bytesPerMs);
  }
}
