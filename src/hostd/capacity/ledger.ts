import type { Clock } from "../../lib/runtime/clock.ts";
import type { Resources } from "../machines/version.ts";
import { Allocations, type AllocationUse, usageOf } from "./allocation.ts";
import { atLeastZero, fits, larger, NOTHING, shortage, subtract } from "./amounts.ts";
import { type Hold, Holds } from "./holds.ts";
import { diskFull, insufficient } from "./ledger-faults.ts";

export type HoldAnswer =
  | { readonly kind: "held"; readonly epoch: bigint; readonly freeAfter: Resources }
  | {
      readonly kind: "declined";
      readonly reason: "no_cpu" | "no_memory" | "no_disk";
      readonly largest: Resources;
    };

export interface LedgerSums {
  readonly capacity: Resources;
  readonly held: Resources;
  /** Disk of all machines; CPU and memory of VMs, and of first starts to come. */
  readonly allocated: Resources;
  /** CPU and memory of VMs, from admission to destruction. */
  readonly running: Resources;
  /** Memory of warm VMs. Part of `free`, because it can be reclaimed at once. */
  readonly reclaimable: Resources;
  readonly free: Resources;
}

export interface LedgerOptions {
  readonly capacity: Resources;
  /** Number of starts of this hostd. Part of every epoch, so no hold outlives a restart. */
  readonly incarnation: number;
  /** Time a hold outlives its reservation: clocks of host and Redis may differ by it. */
  readonly graceMs: number;
  readonly clock: Clock;
}

const NO_APP = { app: "", isDistinct: false };

/**
 * Accounts for the capacity of a host. Holds (in memory only) and allocations together never exceed it, unless the configured
 * capacity was lowered below what machines have: then nothing is granted until enough is released.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #holds: Holds;
  readonly #allocations = new Allocations();
  /** Nothing expires earlier. */
  #nextExpiryMs = Number.POSITIVE_INFINITY;
  #reclaimableMb = 0;
  #reclaim: (leftMb: number) => void = () => {};

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#holds = new Holds(options.incarnation);
  }

  /** Holds capacity for a reservation. A repeat returns the same hold with a new deadline. */
  hold(reservationId: string, resources: Resources, ttlMs: number, of = NO_APP): HoldAnswer {
    this.#expire();
    const deadlineMs = this.#options.clock.monotonicMs() + ttlMs + this.#options.graceMs;
    const known = this.#holds.get(reservationId);
    if (known) {
      // A repeated auction makes a new reservation, which the hold must outlive.
      this.#holds.extend(known, deadlineMs);
      return { kind: "held", epoch: known.epoch, freeAfter: atLeastZero(this.#free()) };
    }
    const short = shortage(this.#free(), resources);
    if (short) return { kind: "declined", reason: short, largest: atLeastZero(this.#free()) };
    const { epoch } = this.#holds.add({ reservationId, resources, ...of, deadlineMs });
    this.#nextExpiryMs = Math.min(this.#nextExpiryMs, deadlineMs);
    this.#reclaimExcess();
    return { kind: "held", epoch, freeAfter: atLeastZero(this.#free()) };
  }

  /**
   * Turns a hold into the allocation of a machine. A repeat changes nothing.
   *
   * @param keepForLaunchMs how long CPU and memory stay allocated for the first start; 0: only disk is allocated
   * @throws Fault HOLD_EXPIRED, HOLD_AWARDED
   */
  award(reservationId: string, epoch: bigint, machineId: string, keepForLaunchMs: number): Resources {
    this.#expire();
    const { resources, isTaken } = this.#holds.award(reservationId, epoch, machineId);
    if (isTaken) this.restore(machineId, resources, { launchForMs: keepForLaunchMs });
    return resources;
  }

  /**
   * Undoes an award whose machine could not be stored. The hold returns if it still fits; otherwise
   * it is dropped.
   */
  undoAward(reservationId: string, machineId: string): void {
    this.#allocations.delete(machineId);
    const hold = this.#holds.get(reservationId);
    if (hold?.awardedTo !== machineId) return;
    if (fits(this.#free(), hold.resources)) this.#holds.undoAward(reservationId);
    else this.#holds.delete(reservationId);
  }

  /** Releases holds. Ignores unknown and awarded ones. */
  release(reservationIds: readonly string[]): void {
    for (const id of reservationIds) this.#holds.release(id);
  }

  /** Allocates for a machine that is in the store. @param use `vm`: the one that it has */
  restore(machineId: string, resources: Resources, use: AllocationUse): void {
    const launchUntilMs = use.launchForMs > 0 ? this.#options.clock.monotonicMs() + use.launchForMs : 0;
    const vms = new Map(use.vm ? [[use.vm.id, use.vm.resources]] : []);
    const { savedMb = 0 } = use;
    this.#allocations.set(machineId, { resources, vms, launchUntilMs, reserved: NOTHING, savedMb });
    if (launchUntilMs > 0) this.#nextExpiryMs = Math.min(this.#nextExpiryMs, launchUntilMs);
    this.#reclaimExcess();
  }

  /**
   * Allocates CPU and memory for the next VM of a machine. A repeat changes nothing.
   *
   * @throws Fault INSUFFICIENT_CAPACITY
   */
  admitVm(machineId: string, vmId: string): void {
    this.#expire();
    const allocation = this.#allocations.require(machineId);
    if (allocation.vms.has(vmId)) return;
    const vms = new Map([...allocation.vms, [vmId, allocation.resources]]);
    const needed = subtract(usageOf({ ...allocation, vms, launchUntilMs: 0 }), usageOf(allocation));
    if (!fits(this.#free(), needed)) throw insufficient(needed, atLeastZero(this.#free()));
    this.#allocations.change(machineId, (changed) => {
      changed.vms.set(vmId, changed.resources);
      changed.launchUntilMs = 0;
    });
    this.#reclaimExcess();
  }

  /** Keeps CPU and memory for the next VM while the present one is stopped. Until {@link unreserve}. */
  reserve(machineId: string, resources = NOTHING): void {
    this.#allocations.require(machineId);
    this.#allocations.change(machineId, (allocation) => {
      allocation.reserved = larger(allocation.resources, resources);
    });
    this.#reclaimExcess();
  }

  /** Gives up what is kept for a first start, which does not come. */
  releaseLaunch(machineId: string): void {
    this.#allocations.change(machineId, (allocation) => {
      allocation.launchUntilMs = 0;
    });
  }

  /**
   * Allocates disk for a machine's saved VM, in place of what it had for that.
   *
   * @throws Fault DISK_FULL; nothing has changed then
   */
  allocateSaved(machineId: string, megabytes: number): void {
    this.#expire();
    const { savedMb = 0 } = this.#allocations.require(machineId);
    const needed = megabytes - savedMb;
    const free = this.#free().diskMb;
    if (needed > 0 && needed > free) throw diskFull(needed, Math.max(0, free));
    this.setSaved(machineId, megabytes);
  }

  /** Sets the disk of a machine's saved VM: what it takes, or 0 when there is none. */
  setSaved(machineId: string, megabytes: number): void {
    this.#allocations.change(machineId, (allocation) => {
      allocation.savedMb = megabytes;
    });
  }

  /** Releases disk of a machine's saved VMs. What else is allocated for them stays. */
  releaseSaved(machineId: string, megabytes: number): void {
    const { savedMb = 0 } = this.#allocations.get(machineId) ?? {};
    this.setSaved(machineId, Math.max(0, savedMb - megabytes));
  }

  unreserve(machineId: string): void {
    this.#allocations.change(machineId, (allocation) => {
      allocation.reserved = NOTHING;
    });
  }

  /**
   * Sets the size of a machine's next VM.
   *
   * @param isSwitched whether that VM takes the place of the present one, or of none: room for either is then reserved
   * @throws Fault INSUFFICIENT_CAPACITY; nothing has changed then
   */
  resize(machineId: string, resources: Resources, isSwitched: boolean): void {
    this.#expire();
    const allocation = this.#allocations.require(machineId);
    const { capacity } = this.#options;
    if (!fits(capacity, resources)) throw insufficient(resources, capacity);
    const reserved = isSwitched ? larger(resources, allocation.resources) : allocation.reserved;
    const after = { ...allocation, resources, reserved };
    const needed = subtract(usageOf(after), usageOf(allocation));
    if (!fits(this.#free(), needed)) throw insufficient(needed, atLeastZero(this.#free()));
    this.#allocations.change(machineId, (changed) => {
      changed.resources = resources;
      changed.reserved = reserved;
    });
    this.#reclaimExcess();
  }

  /** Undoes a resize. Never fails: the resources of before are still reserved. */
  restoreSize(machineId: string, resources: Resources): void {
    this.#allocations.require(machineId);
    this.#allocations.change(machineId, (allocation) => {
      allocation.resources = resources;
    });
  }

  /**
   * Sets the memory of warm VMs, which holds and machines may reclaim. Returns false, and changes
   * nothing, when so much is not free.
   */
  setReclaimable(megabytes: number): boolean {
    this.#expire();
    if (megabytes > this.#reclaimableMb && megabytes > this.#free().memoryMb) return false;
    this.#reclaimableMb = megabytes;
    return true;
  }

  /** Sets the function that is called, synchronously, when less memory is free than warm VMs have. */
  onReclaim(reclaim: (leftMb: number) => void): void {
    this.#reclaim = reclaim;
  }

  /** Whether the next VM of a machine fits without reclaiming memory. */
  fitsWithoutReclaim(machineId: string): boolean {
    this.#expire();
    const { cpus = 0, memoryMb = 0 } = this.#allocations.get(machineId)?.resources ?? {};
    return fits(this.#free(), { cpus, memoryMb: memoryMb + this.#reclaimableMb, diskMb: 0 });
  }

  /** Releases CPU and memory of a destroyed VM. Safe to repeat. */
  releaseVm(machineId: string, vmId: string): void {
    this.#allocations.change(machineId, ({ vms }) => vms.delete(vmId));
  }

  /** Releases all that a machine has. Safe to repeat. */
  forget(machineId: string): void {
    this.#allocations.delete(machineId);
  }

  get expiredHolds(): number {
    this.#expire();
    return this.#holds.expired;
  }

  /** Holds that are neither expired nor awarded. */
  holds(): readonly Hold[] {
    this.#expire();
    return [...this.#holds.values()].filter((hold) => hold.awardedTo === undefined);
  }

  /** Whether a hold is for a machine that must be the only one of its app here. */
  isDistinct(reservationId: string): boolean {
    return this.#holds.get(reservationId)?.isDistinct ?? false;
  }

  /** Holds for machines of an app, awarded ones included. */
  holdsOfApp(app: string): readonly Hold[] {
    this.#expire();
    return [...this.#holds.values()].filter((hold) => hold.app === app);
  }

  sums(): LedgerSums {
    this.#expire();
    return {
      capacity: this.#options.capacity,
      held: this.#holds.sum,
      allocated: this.#allocations.sum,
      running: this.#allocations.running,
      reclaimable: { ...NOTHING, memoryMb: this.#reclaimableMb },
      free: atLeastZero(this.#free()),
    };
  }

  #expire(): void {
    const now = this.#options.clock.monotonicMs();
    if (now < this.#nextExpiryMs) return;
    this.#nextExpiryMs = Math.min(this.#holds.expire(now), this.#allocations.expire(now));
  }

  #reclaimExcess(): void {
    const left = Math.max(0, this.#free().memoryMb);
    if (this.#reclaimableMb <= left) return;
    this.#reclaimableMb = left;
    this.#reclaim(left);
  }

  #free(): Resources {
    return subtract(subtract(this.#options.capacity, this.#holds.sum), this.#allocations.sum);
  }
}
