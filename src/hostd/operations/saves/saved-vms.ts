import { logger } from "../../../lib/runtime/log.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { type Machine, savedMbOf } from "../../machines/machine.ts";
import type { LocalImage } from "../../machines/version.ts";
import type { SaveOptions, Vmm } from "../../vmm/vmm.ts";

export interface SavedVmParts {
  readonly vmm: Pick<Vmm, "dropSaved">;
  readonly ledger: Pick<Ledger, "releaseSaved">;
}

/** Longest time that a save takes. */
export const SAVE_TIMEOUT_MS = 120_000;
/** Devices, and the copy of a scratch disk that is in no other account. */
const BESIDES_MEMORY_MB = 64;
const MB = 1024 * 1024;

/** Returns the disk that a save may take, in MB. */
export function neededMb({ spec }: Pick<Machine, "spec">): number {
  return spec.resources.memoryMb + BESIDES_MEMORY_MB;
}

/** Makes the options of a save, which takes no more than is allocated for it. */
export function saveOptions(
  { spec }: Pick<Machine, "spec">,
  { rootfs }: Pick<LocalImage, "rootfs">,
  of: Pick<SaveOptions, "name" | "goesOn">,
): SaveOptions {
  const { cpus, memoryMb } = spec.resources;
  return { ...of, shape: { cpus, memoryMb }, rootfs, maxBytes: neededMb({ spec }) * MB };
}

/**
 * Removes what was saved and a change has used up, or made useless, once the change is stored: a
 * restarted hostd must find what its machines have. The sweep removes what is left.
 *
 * @param untilDurable waits until the change is on disk
 */
export function dropUnused(
  parts: SavedVmParts,
  after: Machine,
  before: Machine,
  untilDurable: () => Promise<void>,
): void {
  const { saved, resumed, snapshot } = before;
  // Most changes concern none of them, and every start has some.
  if (saved === after.saved && resumed === after.resumed && snapshot === after.snapshot) return;
  // One that goes on is used up already.
  const isKept = saved?.vmId === after.saved?.vmId || saved?.vmId === after.resumed?.vmId;
  const names = [
    isKept ? undefined : saved?.vmId,
    snapshot?.name === after.snapshot?.name ? undefined : snapshot?.name,
  ].flatMap((name) => name || []);
  // A resumed VM's files end with the VM. A save under way keeps its allocation.
  const freedMb = savedMbOf(before) - savedMbOf(after);
  if (freedMb > 0) parts.ledger.releaseSaved(after.id, freedMb);
  if (names.length > 0) void drop(parts, after.id, names, untilDurable);
}

async function drop(
  { vmm }: SavedVmParts,
  id: string,
  names: readonly string[],
  untilDurable: () => Promise<void>,
): Promise<void> {
  await untilDurable();
  for (const name of names) {
    try {
      await vmm.dropSaved?.(name);
    } catch (error) {
      logger.warn("could not remove a saved VM", { machine_id: id, name, error });
    }
  }
}
