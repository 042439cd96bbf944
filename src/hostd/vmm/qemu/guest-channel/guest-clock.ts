import type { ClockBound, ClockBounds } from "../../output.ts";

/** The greatest drift between the clocks: the emulator steers the guest's, NTP the host's. */
const DRIFT = 200e-6;

/**
 * Converts a guest's monotonic clock to the host's wall clock. A message from the guest bounds the
 * offset from above, as it was received after it was sent; a message to the guest from below.
 * Bounds loosen with time, to follow drift and a clock that was set.
 */
export class GuestClock {
  #upper: ClockBound | undefined;
  #lower: ClockBound | undefined;

  /** @param bounds of another clock of the guest, perhaps in another thread */
  constructor(bounds: ClockBounds = {}) {
    this.#upper = bounds.upper;
    this.#lower = bounds.lower;
  }

  get bounds(): ClockBounds {
    return { upper: this.#upper, lower: this.#lower };
  }

  /** Records a message that the guest sent at `guestUs` and that arrived at `hostUs`. */
  received(guestUs: number, hostUs: number): void {
    const offset = hostUs - guestUs;
    if (this.#upper === undefined || offset <= loosened(this.#upper, hostUs, 1)) {
      this.#upper = { offset, atUs: hostUs };
    }
  }

  /** Records a message that the host sent at `hostUs` and that arrived at the guest's `guestUs`. */
  delivered(guestUs: number, hostUs: number): void {
    const offset = hostUs - guestUs;
    if (this.#lower === undefined || offset >= loosened(this.#lower, hostUs, -1)) {
      this.#lower = { offset, atUs: hostUs };
    }
  }

  /** Converts a guest's time. The result is within `[fromUs, nowUs]`, whatever the guest sent. */
  toHost(guestUs: number, fromUs: number, nowUs: number): number {
    return Math.round(Math.min(nowUs, Math.max(fromUs, guestUs + this.#offset(nowUs))));
  }

  /** Returns the most by which {@link toHost} may be off; undefined without bounds on both sides. */
  errorUs(nowUs: number): number | undefined {
    if (this.#upper === undefined || this.#lower === undefined) return undefined;
    const widthUs = loosened(this.#upper, nowUs, 1) - loosened(this.#lower, nowUs, -1);
    return Math.max(0, Math.round(widthUs / 2));
  }

  #offset(nowUs: number): number {
    if (this.#upper === undefined) return nowUs;
    const upper = loosened(this.#upper, nowUs, 1);
    const lower = this.#lower && loosened(this.#lower, nowUs, -1);
    return lower !== undefined && lower <= upper ? (lower + upper) / 2 : upper;
  }
}

function loosened(bound: ClockBound, nowUs: number, direction: 1 | -1): number {
  return bound.offset + direction * DRIFT * Math.max(0, nowUs - bound.atUs);
}
