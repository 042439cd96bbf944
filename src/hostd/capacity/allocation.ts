import type { Resources } from "../machines/machine.ts";
import { add, larger, NOTHING } from "./amounts.ts";

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
}

/** Resources of a stored machine besides its disk. */
export interface AllocationUse {
  readonly vm?: { readonly id: string; readonly resources: Resources };
  /** How long CPU and memory stay allocated for its first start; 0: not. */
  readonly launchForMs: number;
}

/**
 * Returns the resources of a machine: its disk, and CPU and memory of its VMs, or more when that is
 * reserved.
 */
export function usageOf({ resources, vms, launchUntilMs, reserved }: Allocation): Resources {
  const first = launchUntilMs > 0 ? resources : NOTHING;
  const { cpus, memoryMb } = larger(add(sizeOfVms(vms), first), reserved);
  return { cpus, memoryMb, diskMb: resources.diskMb };
}

export function sizeOfVms(vms: ReadonlyMap<string, Resources>): Resources {
  let sum = NOTHING;
  for (const { cpus, memoryMb } of vms.values()) sum = add(sum, { cpus, memoryMb, diskMb: 0 });
  return sum;
}
