import type { Resources } from "../machines/version.ts";
import { add, larger, NOTHING, subtract } from "./amounts.ts";

/** The resources of its host that a machine has. */
export interface Allocation {
  /** Of the machine, and of its next VM. */
  resources: Resources;
  /** What VMs have of CPU and memory: the running one, and earlier ones until they are destroyed. */
  readonly vms: Map<string, Resources>;
  /** End of the allocation for the first start, on the monotonic clock; 0: none. */
  launchUntilMs: number;
  /** Resources that stay allocated while one VM replaces another. */
  reserved: Resources;
  /** Disk of the saved VM, or of the one that is being saved. Absent: none. */
  savedMb?: number;
}

/** Resources of a stored machine besides its disk. */
export interface AllocationUse {
  readonly vm?: { readonly id: string; readonly resources: Resources };
  /** How long CPU and memory stay allocated for its first start; 0: not. */
  readonly launchForMs: number;
  /** Disk of its saved VM. */
  readonly savedMb?: number;
}

/**
 * Returns the resources of a machine: its disk and that of what is saved, and CPU and memory of its VMs, or more when that is
 * reserved.
 */
export function usageOf({ resources, vms, launchUntilMs, reserved, savedMb = 0 }: Allocation): Resources {
  const first = launchUntilMs > 0 ? resources : NOTHING;
  const { cpus, memoryMb } = larger(add(sizeOfVms(vms), first), reserved);
  return { cpus, memoryMb, diskMb: resources.diskMb + savedMb };
}

function sizeOfVms(vms: ReadonlyMap<string, Resources>): Resources {
  let sum = NOTHING;
  for (const { cpus, memoryMb } of vms.values()) sum = add(sum, { cpus, memoryMb, diskMb: 0 });
  return sum;
}

/** The allocations of a host's machines. Every start asks for their sum, which is therefore kept. */
export class Allocations {
  readonly #all = new Map<string, Allocation>();
  #sum = NOTHING;

  /** What all machines have together. */
  get sum(): Resources {
    return this.#sum;
  }

  /** CPU and memory of all VMs. */
  get running(): Resources {
    let sum = NOTHING;
    for (const { vms } of this.#all.values()) sum = add(sum, sizeOfVms(vms));
    return sum;
  }

  get(machineId: string): Readonly<Allocation> | undefined {
    return this.#all.get(machineId);
  }

  values(): Iterable<Readonly<Allocation>> {
    return this.#all.values();
  }

  /** Returns the allocation of a machine that must have one. */
  require(machineId: string): Readonly<Allocation> {
    const allocation = this.#all.get(machineId);
    if (!allocation) throw new Error(`machine ${machineId} has no allocation`);
    return allocation;
  }

  set(machineId: string, allocation: Allocation): void {
    this.delete(machineId);
    this.#all.set(machineId, allocation);
    this.#sum = add(this.#sum, usageOf(allocation));
  }

  delete(machineId: string): void {
    const allocation = this.#all.get(machineId);
    if (!allocation) return;
    this.#all.delete(machineId);
    this.#sum = subtract(this.#sum, usageOf(allocation));
  }

  /** Changes what a machine has, if it has something. */
  change(machineId: string, change: (allocation: Allocation) => void): void {
    const allocation = this.#all.get(machineId);
    if (!allocation) return;
    const before = usageOf(allocation);
    change(allocation);
    this.#sum = add(subtract(this.#sum, before), usageOf(allocation));
  }

  /** Ends allocations for first starts whose time is over. Returns when the next one ends. */
  expire(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [machineId, { launchUntilMs }] of this.#all) {
      if (launchUntilMs > nowMs) next = Math.min(next, launchUntilMs);
      else if (launchUntilMs > 0) this.change(machineId, endLaunch);
    }
    return next;
  }
}

function endLaunch(allocation: Allocation): void {
  allocation.launchUntilMs = 0;
}
