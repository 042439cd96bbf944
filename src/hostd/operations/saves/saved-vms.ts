import { logger } from "../../../lib/runtime/log.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { type LocalImage, type Machine, savedMbOf } from "../../machines/machine.ts";
import type { SaveOptions, Vmm } from "../../vmm/vmm.ts";

export interface SavedVmParts {
  readonly vmm: Pick<Vmm, "dropSaved">;
  readonly ledger: Pick<Ledger, "setSaved">;
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
 * Removes what was saved and a change has used up, or made useless. The sweep removes what is left.
 */
export function dropUnused(parts: SavedVmParts, after: Machine, { saved, resumed, snapshot }: Machine): void {
  if (saved && saved.vmId !== after.saved?.vmId) drop(parts, saved.vmId, after);
  if (snapshot?.name && snapshot.name !== after.snapshot?.name) drop(parts, snapshot.name, after);
  // Its files end with the VM.
  if (resumed && !after.resumed) parts.ledger.setSaved(after.id, savedMbOf(after));
}

function drop({ vmm, ledger }: SavedVmParts, name: string, after: Machine): void {
  ledger.setSaved(after.id, savedMbOf(after));
  vmm.dropSaved?.(name).catch((error: unknown) => {
    logger.warn("could not remove a saved VM", { machine_id: after.id, name, error });
  });
}
