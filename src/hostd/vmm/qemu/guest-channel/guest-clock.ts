/**
 * How far two clocks of one machine may drift apart, relatively: the guest's is steered by the emulator, the host's by NTP.
 */
const DRIFT = 200e-6;

/**
 * Translates a guest's monotonic clock into the host's wall clock. A message from the guest bounds the difference from above (it
 * was received after it was sent), one to the guest from below; the truth lies between. Bounds loosen with time, so that drift and
 * a clock that was set are followed.
 */
export class GuestClock {
  private upper: Bound | undefined;
  private lower: Bound | undefined;

  /** A message that the guest sent at its `guestUs` has arrived at the host's `hostUs`. */
  received(guestUs: number, hostUs: number): void {
    const offset = hostUs - guestUs;
    if (this.upper === undefined || offset <= loosened(this.upper, hostUs, 1)) {
      this.upper = { offset, atUs: hostUs };
    }
  }

  /** A message that the host sent at `hostUs` arrived at the guest's `guestUs`. */
  delivered(guestUs: number, hostUs: number): void {
    const offset = hostUs - guestUs;
    if (this.lower === undefined || offset >= loosened(this.lower, hostUs, -1)) {
      this.lower = { offset, atUs: hostUs };
    }
  }

  /** The host's time of the guest's `guestUs`, kept within `[fromUs, nowUs]`: a guest may say anything. */
  toHost(guestUs: number, fromUs: number, nowUs: number): number {
    return Math.round(Math.min(nowUs, Math.max(fromUs, guestUs + this.offset(nowUs))));
  }

  private offset(nowUs: number): number {
    if (this.upper === undefined) return nowUs;
    const upper = loosened(this.upper, nowUs, 1);
    const lower = this.lower && loosened(this.lower, nowUs, -1);
    return lower !== undefined && lower <= upper ? (lower + upper) / 2 : upper;
  }
}

interface Bound {
  readonly offset: number;
  readonly atUs: number;
}

function loosened(bound: Bound, nowUs: number, direction: 1 | -1): number {
  return bound.offset + direction * DRIFT * Math.max(0, nowUs - bound.atUs);
}
