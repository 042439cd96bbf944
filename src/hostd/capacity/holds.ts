import type { Resources } from "../machines/version.ts";
import { add, NOTHING } from "./amounts.ts";
import { holdAwarded, holdExpired } from "./ledger-faults.ts";

export interface Hold {
  readonly reservationId: string;
  readonly epoch: bigint;
  readonly resources: Resources;
  readonly app: string;
  /** Whether the award is refused when the app has a machine here. */
  readonly isDistinct: boolean;
  /** On the monotonic clock: TTL of the reservation and grace. */
  readonly deadlineMs: number;
  /** Set by the award. The hold then has no capacity, and refuses awards for other machines. */
  readonly awardedTo?: string;
}

interface HoldEntry extends Hold {
  awardedTo?: string;
}

/** The holds of a host, in memory only. */
export class Holds {
  readonly #all = new Map<string, HoldEntry>();
  #nextEpoch: bigint;
  #expired = 0;

  /** @param incarnation number of starts of this hostd. Part of every epoch, so no hold outlives a restart */
  constructor(incarnation: number) {
    this.#nextEpoch = (BigInt(incarnation) << 32n) + 1n;
  }

  /** Capacity of those that are not awarded. */
  get sum(): Resources {
    let sum = NOTHING;
    for (const hold of this.#all.values()) if (hold.awardedTo === undefined) sum = add(sum, hold.resources);
    return sum;
  }

  /** Number of those that have expired without an award. */
  get expired(): number {
    return this.#expired;
  }

  get(reservationId: string): Hold | undefined {
    return this.#all.get(reservationId);
  }

  values(): Iterable<Hold> {
    return this.#all.values();
  }

  /** Adds a hold. Returns it with its epoch. */
  add(hold: Omit<Hold, "epoch" | "awardedTo">): Hold {
    const added = { ...hold, epoch: this.#nextEpoch++ };
    this.#all.set(hold.reservationId, added);
    return added;
  }

  /** Sets a later deadline. */
  extend(hold: Hold, deadlineMs: number): void {
    const extended = { ...hold, deadlineMs: Math.max(hold.deadlineMs, deadlineMs) };
    this.#all.set(hold.reservationId, extended);
  }

  /**
   * Takes the capacity of a hold for a machine. A repeat finds none.
   *
   * @returns what was held, and whether this call has taken it
   * @throws Fault HOLD_EXPIRED, HOLD_AWARDED
   */
  award(reservationId: string, epoch: bigint, machineId: string): { resources: Resources; isTaken: boolean } {
    const hold = this.#all.get(reservationId);
    if (!hold || hold.epoch !== epoch) throw holdExpired(reservationId, epoch);
    if (hold.awardedTo !== undefined && hold.awardedTo !== machineId) throw holdAwarded(reservationId);
    const isTaken = hold.awardedTo === undefined;
    hold.awardedTo = machineId;
    return { resources: hold.resources, isTaken };
  }

  /** Gives an awarded hold its capacity back. */
  undoAward(reservationId: string): void {
    delete this.#all.get(reservationId)?.awardedTo;
  }

  delete(reservationId: string): void {
    this.#all.delete(reservationId);
  }

  /** Releases a hold, unless it is awarded. */
  release(reservationId: string): void {
    if (this.#all.get(reservationId)?.awardedTo === undefined) this.#all.delete(reservationId);
  }

  /** Deletes those whose deadline is over. Returns when the next one expires. */
  expire(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [id, hold] of this.#all) {
      if (hold.deadlineMs > nowMs) {
        next = Math.min(next, hold.deadlineMs);
        continue;
      }
      this.#all.delete(id);
      if (hold.awardedTo === undefined) this.#expired += 1;
    }
    return next;
  }
}
