import type { Fault } from "../../lib/faults/fault.ts";
import type { Digest } from "../../lib/oci/digest.ts";
import type { Clock } from "../../lib/runtime/clock.ts";

const KEPT_MS = 10 * 60_000;
const MAX_KEPT = 1_000;

/** The faults of images that could not be built, kept for a while: a digest always names the same bytes. */
export class FailedBuilds {
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #faults = new Map<Digest, { readonly fault: Fault; readonly untilMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(digest: Digest, fault: Fault): void {
    this.#faults.delete(digest);
    this.#faults.set(digest, { fault, untilMs: this.#clock.monotonicMs() + KEPT_MS });
    const [oldest] = this.#faults.keys();
    if (this.#faults.size > MAX_KEPT && oldest !== undefined) this.#faults.delete(oldest);
  }

  get(digest: Digest): Fault | undefined {
    const found = this.#faults.get(digest);
    if (found === undefined || found.untilMs > this.#clock.monotonicMs()) return found?.fault;
    this.#faults.delete(digest);
    return undefined;
  }
}
