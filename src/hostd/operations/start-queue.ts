import { Fault } from "../../lib/faults/fault.ts";
import { type Release, Semaphore } from "../../lib/runtime/semaphore.ts";

/** How many starts a queue lets run and wait. */
export interface StartQueueOptions {
  /** Slots: starts that run at once. */
  readonly concurrency: number;
  /** How many of the slots starts may have whose VM must boot. Default: all. */
  readonly maxBoots?: number | undefined;
  /** Starts that may wait. */
  readonly bound: number;
}

/**
 * The one queue of a host: a start that has its slot waits in line nowhere else. Organisations take turns, so a burst of one does not
 * delay the others. Within an organisation the first come is the first served, except that a start with a warm VM does not wait
 * behind starts that must boot one.
 */
export class StartQueue {
  readonly #slots: Semaphore;
  readonly #maxBoots: number;
  #booting = 0;

  constructor({ concurrency, maxBoots = concurrency, bound }: StartQueueOptions) {
    const full = (waiting: number) => queueFull(waiting, concurrency);
    this.#slots = new Semaphore({ permits: concurrency, maxWaiting: bound, full });
    this.#maxBoots = maxBoots;
  }

  /** How many run now. */
  get running(): number {
    return this.#slots.held;
  }

  /** How many wait now. */
  get length(): number {
    return this.#slots.waiting;
  }

  /** Whether the next start would be refused. */
  get isFull(): boolean {
    return this.#slots.isFull;
  }

  /**
   * Waits for a slot. Release it once the start is over.
   *
   * @param reserveWarm called when there is a slot: reserves a warm VM for this start. When it returns false, the start needs a slot
   *   in which it may boot, and is asked again later if there is none
   * @throws Fault START_QUEUE_FULL when too many wait; the reason of `signal` when it aborts first
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
