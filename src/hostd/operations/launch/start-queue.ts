import { Fault } from "../../../lib/faults/fault.ts";
import { type Release, Semaphore } from "../../../lib/limits/semaphore.ts";

export interface StartQueueOptions {
  /** Slots: starts that run at once. */
  readonly concurrency: number;
  /** Slots for starts whose VM must boot. Default: all. */
  readonly maxBoots?: number | undefined;
  readonly maxWaiting: number;
}

/**
 * The queue in which starts wait for a slot. Organisations take turns, so that a burst of one does not delay the others. Within an
 * organisation it is first come, first served, except that a start with a warm VM passes starts whose VM must boot.
 */
export class StartQueue {
  readonly #slots: Semaphore;
  readonly #maxBoots: number;
  #booting = 0;

  constructor({ concurrency, maxBoots = concurrency, maxWaiting }: StartQueueOptions) {
    const full = (waiting: number) => queueFull(waiting, concurrency);
    this.#slots = new Semaphore({ permits: concurrency, maxWaiting, full });
    this.#maxBoots = maxBoots;
  }

  get running(): number {
    return this.#slots.held;
  }

  get length(): number {
    return this.#slots.waiting;
  }

  get isFull(): boolean {
    return this.#slots.isFull;
  }

  /**
   * Waits for a slot. Release it when the start is over.
   *
   * @param reserveWarm reserves a warm VM for this start. Called when a slot is free, and again later if it returns false and no slot
   *   for a boot is free
   * @throws Fault START_QUEUE_FULL; the reason of `signal` when it aborts first
   */
  enter(org: string, signal: AbortSignal, reserveWarm: () => boolean = () => false): Promise<Release> {
    return this.#slots.acquire(signal, org, () => (reserveWarm() ? () => {} : this.#claimBoot()));
  }

  #claimBoot(): Release | undefined {
    if (this.#booting >= this.#maxBoots) return undefined;
    this.#booting += 1;
    return () => {
      this.#booting -= 1;
    };
  }
}

function queueFull(waiting: number, concurrency: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "START_QUEUE_FULL",
    `${waiting} starts are waiting for this host already; try again in a moment`,
    { waiting: String(waiting), concurrency: String(concurrency) },
    { retryAfterMs: 1_000 },
  );
}
