import type { Clock } from "../../lib/runtime/clock.ts";
import type { Resources } from "../machines/machine.ts";
import { type Amounts, add, fits, largest, NOTHING, subtract, whatIsShort } from "./amounts.ts";
import { holdAwarded, holdExpired, insufficient } from "./ledger-faults.ts";

/** A slice of capacity held for an auction. */
export interface Hold {
  readonly reservationId: string;
  readonly epoch: bigint;
  readonly resources: Resources;
  /** App of the machine that it is for. */
  readonly app: string;
  /** No other machine of the app may be here when it is awarded. */
  readonly isDistinct: boolean;
  /** On the monotonic clock: the reservation's TTL and a grace. */
  readonly deadlineMs: number;
}

/** Answer to a bid. */
export type HoldAnswer =
  | { readonly kind: "held"; readonly epoch: bigint; readonly freeAfter: Resources }
  | {
      readonly kind: "declined";
      readonly reason: "no_cpu" | "no_memory" | "no_disk";
      readonly largest: Resources;
    };

/** What is used of a host, and by whom. */
export interface LedgerSums {
  readonly capacity: Resources;
  readonly held: Resources;
  /** Disk of all machines; CPU and memory of VMs, and of first starts to come. */
  readonly allocated: Resources;
  /** CPU and memory of VMs, from the start's admission until they are destroyed. */
  readonly running: Resources;
  /** Memory of VMs that wait for a machine. It is free all the same: it is taken back when it is wanted. */
  readonly lent: Resources;
  readonly free: Resources;
}

/** What a ledger is made of. */
export interface LedgerOptions {
  readonly capacity: Resources;
  /** How many times this host has started. Part of every epoch, so no hold outlives a restart. */
  readonly incarnation: number;
  /** Kept beyond a reservation's TTL, so that whatever the scheduler's Redis grants, the host still has. */
  readonly graceMs: number;
  readonly clock: Clock;
}

interface Allocation {
  readonly resources: Resources;
  /** VMs that have CPU and memory: the one that runs, and earlier ones until they are destroyed. */
  readonly vmIds: Set<string>;
  /** CPU and memory are kept for the first start until then, on the monotonic clock; 0 when they are not. */
  launchUntilMs: number;
}

/** A hold for a machine of no app in particular. */
const ANYBODY = { app: "", isDistinct: false };

interface HoldEntry extends Hold {
  /** Set once awarded: it holds nothing any more, and is remembered to refuse a second machine. */
  awardedTo?: string;
}

/**
 * The capacity of a host: the last word on what it has. Holds (for auctions, in memory only) and allocations (for machines)
 * together never exceed it, whatever the order of calls. Lowering a host's configured capacity below what its
 * machines have is the one exception: then nothing more is granted until enough is given back.
 */
export class Ledger {
  readonly #options: LedgerOptions;
  readonly #holds = new Map<string, HoldEntry>();
  readonly #allocations = new Map<string, Allocation>();
  /** Nothing ends by time before; so nobody needs to look. */
  #quietUntilMs = Number.POSITIVE_INFINITY;
  #nextEpoch: bigint;
  #lentMb = 0;
  #reclaim: (leftMb: number) => void = () => {};
  #expiredHolds = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#nextEpoch = (BigInt(options.incarnation) << 32n) + 1n;
  }

  /** Holds capacity for a reservation. A repeat while the hold lives gets the same hold, and its time begins anew. */
  hold(reservationId: string, resources: Resources, ttlMs: number, of = ANYBODY): HoldAnswer {
    this.expire();
    const deadlineMs = this.#options.clock.monotonicMs() + ttlMs + this.#options.graceMs;
    const known = this.#holds.get(reservationId);
    if (known) {
      // The auction is held again because the reservation is gone; the one that is made now must not outlive what it promises.
      this.#holds.set(reservationId, { ...known, deadlineMs: Math.max(known.deadlineMs, deadlineMs) });
      return { kind: "held", epoch: known.epoch, freeAfter: largest(this.#free()) };
    }
    const short = whatIsShort(this.#free(), resources);
    if (short) return { kind: "declined", reason: short, largest: largest(this.#free()) };
    const epoch = this.#nextEpoch++;
    this.#holds.set(reservationId, { reservationId, epoch, resources, ...of, deadlineMs });
    this.#quietUntilMs = Math.min(this.#quietUntilMs, deadlineMs);
    this.#takeBackLent();
    return { kind: "held", epoch, freeAfter: largest(this.#free()) };
  }

  /**
   * Turns a hold into a machine's allocation. The same award again changes nothing.
   *
   * @param keepForLaunchMs how long CPU and memory stay allocated for the first start; 0: only disk stays
   * @throws Fault HOLD_EXPIRED, HOLD_AWARDED
   */
  award(reservationId: string, epoch: bigint, machineId: string, keepForLaunchMs: number): Resources {
    this.expire();
    const hold = this.#holds.get(reservationId);
    if (!hold || hold.epoch !== epoch) throw holdExpired(reservationId, epoch);
    if (hold.awardedTo !== undefined && hold.awardedTo !== machineId) throw holdAwarded(reservationId);
    if (hold.awardedTo === undefined) {
      hold.awardedTo = machineId;
      this.restore(machineId, hold.resources, { launchForMs: keepForLaunchMs });
    }
    return hold.resources;
  }

  /**
   * Undoes an award whose machine could not be stored, so that it can be repeated. The hold comes back if there is room
   * for it still; otherwise it is gone.
   */
  takeBack(reservationId: string, machineId: string): void {
    this.#allocations.delete(machineId);
    const hold = this.#holds.get(reservationId);
    if (hold?.awardedTo !== machineId) return;
    if (fits(this.#free(), hold.resources)) delete hold.awardedTo;
    else this.#holds.delete(reservationId);
  }

  /** Lets holds go; unknown ones and awarded ones are left as they are. */
  release(reservationIds: readonly string[]): void {
    for (const id of reservationIds) {
      if (this.#holds.get(id)?.awardedTo === undefined) this.#holds.delete(id);
    }
  }

  /** Enters a machine known from the durable state. */
  restore(machineId: string, resources: Resources, use: { vmId?: string; launchForMs: number }): void {
    const launchUntilMs = use.launchForMs > 0 ? this.#options.clock.monotonicMs() + use.launchForMs : 0;
    const vmIds = new Set(use.vmId === undefined ? [] : [use.vmId]);
    this.#allocations.set(machineId, { resources, vmIds, launchUntilMs });
    if (launchUntilMs > 0) this.#quietUntilMs = Math.min(this.#quietUntilMs, launchUntilMs);
    this.#takeBackLent();
  }

  /**
   * Admits CPU and memory for a machine's next VM, beside what VMs before it still have. The same VM again changes nothing.
   *
   * @throws Fault INSUFFICIENT_CAPACITY when there is no room; nothing has changed then
   */
  admitVm(machineId: string, vmId: string): void {
    this.expire();
    const allocation = this.#allocations.get(machineId);
    if (!allocation) throw new Error(`machine ${machineId} has no allocation`);
    if (allocation.vmIds.has(vmId)) return;
    const needed = allocation.launchUntilMs > 0 ? NOTHING : { ...allocation.resources, diskMb: 0 };
    if (!fits(this.#free(), needed)) throw insufficient(needed, largest(this.#free()));
    allocation.vmIds.add(vmId);
    allocation.launchUntilMs = 0;
    this.#takeBackLent();
  }

  /**
   * Lends memory that nobody has to VMs that wait for a machine: so much in all. It stays free for everybody else: whoever is granted it
   * has it, and `onReclaim` is told.
   *
   * @returns false when there is not so much; nothing has changed then
   */
  lend(megabytes: number): boolean {
    this.expire();
    if (megabytes > this.#lentMb && megabytes > this.#free().memoryMb) return false;
    this.#lentMb = megabytes;
    return true;
  }

  /** Sets who is told, at once, when less memory is left than was lent. */
  onReclaim(reclaim: (leftMb: number) => void): void {
    this.#reclaim = reclaim;
  }

  /** Whether a machine's next VM would fit without memory that is lent. */
  hasSpare(machineId: string): boolean {
    this.expire();
    const { cpus = 0, memoryMb = 0 } = this.#allocations.get(machineId)?.resources ?? {};
    return fits(this.#free(), { cpus, memoryMb: memoryMb + this.#lentMb, diskMb: 0 });
  }

  /** Gives back the CPU and memory of a VM that has been destroyed; the machine's disk stays. Safe to repeat. */
  releaseVm(machineId: string, vmId: string): void {
    this.#allocations.get(machineId)?.vmIds.delete(vmId);
  }

  /** Gives back all that a machine has. Safe to repeat. */
  forget(machineId: string): void {
    this.#allocations.delete(machineId);
  }

  /** Drops holds and launch allocations whose time is over. Every call that grants something does it first. */
  expire(): void {
    const now = this.#options.clock.monotonicMs();
    if (now < this.#quietUntilMs) return;
    let next = Number.POSITIVE_INFINITY;
    for (const [id, hold] of this.#holds) {
      if (hold.deadlineMs > now) {
        next = Math.min(next, hold.deadlineMs);
        continue;
      }
      this.#holds.delete(id);
      if (hold.awardedTo === undefined) this.#expiredHolds += 1;
    }
    for (const allocation of this.#allocations.values()) {
      if (allocation.launchUntilMs > now) next = Math.min(next, allocation.launchUntilMs);
      else allocation.launchUntilMs = 0;
    }
    this.#quietUntilMs = next;
  }

  /** How many holds have ended by time in this life of the host: nobody awarded them or let them go. */
  get expiredHolds(): number {
    this.expire();
    return this.#expiredHolds;
  }

  /** The holds that live now, awarded ones left out. */
  holds(): readonly Hold[] {
    this.expire();
    return [...this.#holds.values()].filter((hold) => hold.awardedTo === undefined);
  }

  /** Whether a hold is for a machine that must be the only one of its app here. */
  isDistinct(reservationId: string): boolean {
    return this.#holds.get(reservationId)?.isDistinct ?? false;
  }

  /** What is held for machines of an app, and for which machine what was awarded is meant. */
  claimsOf(app: string): readonly { readonly reservationId: string; readonly awardedTo?: string }[] {
    this.expire();
    return [...this.#holds.values()].filter((hold) => hold.app === app);
  }

  /** What is used now. */
  sums(): LedgerSums {
    this.expire();
    return {
      capacity: this.#options.capacity,
      held: this.#held(),
      allocated: this.#allocated(),
      running: this.#running(),
      lent: { ...NOTHING, memoryMb: this.#lentMb },
      free: largest(this.#free()),
    };
  }

  #takeBackLent(): void {
    const left = Math.max(0, this.#free().memoryMb);
    if (this.#lentMb <= left) return;
    this.#lentMb = left;
    this.#reclaim(left);
  }

  #free(): Amounts {
    return subtract(subtract(this.#options.capacity, this.#held()), this.#allocated());
  }

  #held(): Resources {
    let sum = NOTHING;
    for (const hold of this.#holds.values()) if (hold.awardedTo === undefined) sum = add(sum, hold.resources);
    return sum;
  }

  #allocated(): Resources {
    let sum = NOTHING;
    for (const { resources, vmIds, launchUntilMs } of this.#allocations.values()) {
      sum = add(sum, sizeOfVms(resources, vmIds.size + (launchUntilMs > 0 ? 1 : 0), resources.diskMb));
    }
    return sum;
  }

  #running(): Resources {
    let sum = NOTHING;
    for (const { resources, vmIds } of this.#allocations.values()) {
      sum = add(sum, sizeOfVms(resources, vmIds.size, 0));
    }
    return sum;
  }
}

function sizeOfVms({ cpus, memoryMb }: Resources, count: number, diskMb: number): Resources {
  return { cpus: count * cpus, memoryMb: count * memoryMb, diskMb };
}
