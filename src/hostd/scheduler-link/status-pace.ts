import { Status } from "../../gen/windhover/scheduler/v1/scheduler.ts";

/** How often the status is looked at, and how often it is sent when nothing has changed. */
export const STATUS_MS = 1_000;
const UNCHANGED_STATUS_MS = 5_000;

/** Decides when a status is worth a message: when it differs from the last one sent, and when that was a while ago. */
export class StatusPace {
  #last: Uint8Array = new Uint8Array();
  #sentMs = Number.NEGATIVE_INFINITY;

  /** Asked once per {@link STATUS_MS}; a yes counts as sent. */
  isDue(status: Status, nowMs: number): boolean {
    // A load that differs by less than a hundredth is the same.
    const bytes = Status.encode({ ...status, load: Math.round(status.load * 100) / 100 }).finish();
    // Half a step of tolerance: a timer that is a little early must not cost a whole one.
    const isOld = nowMs - this.#sentMs >= UNCHANGED_STATUS_MS - STATUS_MS / 2;
    if (!isOld && Buffer.compare(bytes, this.#last) === 0) return false;
    this.#last = bytes;
    this.#sentMs = nowMs;
    return true;
  }
}

/** Which images a stream has told of: decides whether there is news. */
export class ImageNews {
  #told: readonly number[] = [];

  /** Whether the images differ from those of the last time; a yes counts as told. */
  isDue(hints: readonly number[]): boolean {
    const told = this.#told;
    this.#told = hints;
    return told !== hints && (told.length !== hints.length || hints.some((hint, i) => hint !== told[i]));
  }
}
