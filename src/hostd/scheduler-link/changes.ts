/** Interval in which status and images are compared with those sent last. */
export const STATUS_INTERVAL_MS = 1_000;
/** Interval in which an unchanged status is sent, so that the scheduler does not drop the host. */
const UNCHANGED_STATUS_MS = 5_000;

/** Finds out whether a status is to be sent: when it has changed, or the last one is old. */
export class StatusChanges {
  #last: Uint8Array = new Uint8Array();
  #sentMs = Number.NEGATIVE_INFINITY;

  /** Whether the status is to be sent. If so, counts it as sent. */
  isDue(encoded: Uint8Array, nowMs: number): boolean {
    // Half an interval of tolerance, because timers may be early.
    const isOld = nowMs - this.#sentMs >= UNCHANGED_STATUS_MS - STATUS_INTERVAL_MS / 2;
    if (!isOld && Buffer.compare(encoded, this.#last) === 0) return false;
    this.#last = encoded;
    this.#sentMs = nowMs;
    return true;
  }
}

/** Finds out whether image hints are to be sent: when they have changed. */
export class ImageChanges {
  #last: readonly number[] = [];

  /** Whether the hints are to be sent. If so, counts them as sent. */
  isDue(hints: readonly number[]): boolean {
    const last = this.#last;
    this.#last = hints;
    return last !== hints && (last.length !== hints.length || hints.some((hint, i) => hint !== last[i]));
  }
}
