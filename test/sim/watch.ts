import type { Offer } from "../../src/scheduler/auctions/offer.ts";
import type { Reservation } from "../../src/scheduler/reservations/reservation-store.ts";
import type { Life, World } from "./world/world.ts";

/** What hostd's ledger ought to remember of a hold. */
interface Hold {
  readonly epoch: bigint;
  endMs: number;
  awardedTo: string | undefined;
}

/** What is asked of a host that lives, to compare it with what Redis grants. */
export interface HoldersView {
  /** The life of a host and the epochs it gives; undefined while it is down. */
  holder(
    hostNumber: number,
  ): { readonly life: Life; readonly incarnation: bigint; has(reservationId: string): boolean } | undefined;
  /** When the clock of Redis last jumped. */
  readonly redisJumpedMs: number;
}

/**
 * Looks on from outside at what is claimed and awarded, with bookkeeping of its own: what a guard must never let through is noticed
 * where it happens, not only in what comes of it.
 */
export class Watch {
  readonly violations: string[] = [];
  readonly #world: World;
  readonly #claimants = new WeakMap<Reservation, string>();
  readonly #putMs = new WeakMap<Reservation, number>();
  readonly #holds = new WeakMap<Life, Map<string, Hold>>();
  readonly #letGo = new WeakMap<Life, Set<string>>();
  readonly #applied = new Map<number, bigint>();
  view: HoldersView | undefined;
  /** Called when a reservation has been stored. */
  onStored: () => void = () => {};
  /** Called when a host has taken capacity for an auction. */
  onHeld: (life: Life) => void = () => {};
  /** Called when a host has let an award pass. */
  onAwarded: (life: Life) => void = () => {};

  constructor(world: World) {
    this.#world = world;
  }

  /** Something is wrong. */
  violated(what: string): void {
    if (this.violations.length < 5)
      this.violations.push(`${(this.#world.nowMs / 1_000).toFixed(4)} s: ${what}`);
    this.#world.log("INVARIANT", what);
  }

  stored(reservation: Reservation): void {
    this.#putMs.set(reservation, this.#world.nowMs);
    this.onStored();
  }

  /** Redis has granted a claim. */
  claimed(reservation: Reservation, claimant: string, offer: Offer): void {
    const before = this.#claimants.get(reservation);
    if (before !== undefined && before !== claimant)
      this.violated(`reservation ${reservation.id} was granted to ${before} and to ${claimant}`);
    this.#claimants.set(reservation, claimant);
    this.#isHeld(reservation, offer);
  }

  /** Whatever Redis grants, the host still has: unless it was restarted, or told to let go. */
  #isHeld(reservation: Reservation, { hostNumber, epoch }: Offer): void {
    const { view } = this;
    const holder = view?.holder(hostNumber);
    const putMs = this.#putMs.get(reservation) ?? 0;
    if (!view || !holder || epoch >> 32n !== holder.incarnation || view.redisJumpedMs >= putMs - 1_000)
      return;
    if (this.#letGo.get(holder.life)?.has(reservation.id) || holder.has(reservation.id)) return;
    this.violated(`reservation ${reservation.id} was granted, and host ${hostNumber} no longer holds it`);
  }

  /** A host has answered a bid. */
  held(life: Life, reservationId: string, epoch: bigint, forMs: number): void {
    const holds = this.#of(life);
    const known = holds.get(reservationId);
    const isAlive = known !== undefined && known.endMs > this.#world.nowMs;
    const endMs = this.#world.nowMs + forMs;
    if (isAlive && known.epoch === epoch) {
      // Asked for anew, it is held anew: the reservation that is made of it lives that long.
      known.endMs = Math.max(known.endMs, endMs);
      return;
    }
    this.#world.log(life.process.name, "holds", () => `for ${reservationId}, epoch ${epoch}`);
    if (isAlive) this.violated(`${life.process.name} holds twice for ${reservationId}`);
    holds.set(reservationId, { epoch, endMs, awardedTo: undefined });
    this.#letGo.get(life)?.delete(reservationId);
    this.onHeld(life);
  }

  /** Whether a hold's time is not over yet. */
  mayHold(life: Life, reservationId: string): boolean {
    const hold = this.#of(life).get(reservationId);
    return hold !== undefined && hold.endMs > this.#world.nowMs;
  }

  isAwarded(life: Life, reservationId: string): boolean {
    return this.#of(life).get(reservationId)?.awardedTo !== undefined;
  }

  letGo(life: Life, reservationId: string): void {
    const known = this.#of(life).get(reservationId);
    if (known?.awardedTo !== undefined) return;
    this.#of(life).delete(reservationId);
    this.#world.log(life.process.name, "lets go", () => reservationId);
    const letGo = this.#letGo.get(life) ?? new Set();
    this.#letGo.set(life, letGo.add(reservationId));
  }

  /** A host has let an award pass. */
  awarded(life: Life, reservationId: string, epoch: bigint, machineId: string): void {
    const hold = this.#of(life).get(reservationId);
    const what = `${life.process.name} took the award of ${reservationId} (epoch ${epoch}, machine ${machineId})`;
    if (!hold) this.violated(`${what} without a hold`);
    else if (hold.epoch !== epoch) this.violated(`${what}, and its hold is of epoch ${hold.epoch}`);
    else if (hold.endMs <= this.#world.nowMs) this.violated(`${what} after its hold was over`);
    else if (hold.awardedTo !== undefined && hold.awardedTo !== machineId)
      this.violated(`${what}, which was awarded to ${hold.awardedTo}`);
    else hold.awardedTo = machineId;
    this.onAwarded(life);
  }

  takenBack(life: Life, reservationId: string): void {
    const hold = this.#of(life).get(reservationId);
    if (hold) hold.awardedTo = undefined;
  }

  /** The record has applied a host's changes up to this one. */
  applied(host: number, sequence: bigint): void {
    const before = this.#applied.get(host) ?? 0n;
    if (sequence <= before)
      this.violated(`changes of host ${host} up to ${sequence} were applied again after ${before}`);
    this.#applied.set(host, sequence);
  }

  #of(life: Life): Map<string, Hold> {
    const known = this.#holds.get(life) ?? new Map<string, Hold>();
    this.#holds.set(life, known);
    return known;
  }
}
