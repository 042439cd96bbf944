import { execFile } from "node:child_process";
import { lstatSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { withSpan } from "../../../../lib/otel/tracing.ts";
import type { SavedVm, SaveOptions } from "../../vmm.ts";
import type { GuestVm } from "../guest-channel/guest-vm.ts";
import { VM_FILES } from "../process/command-line.ts";
import type { QemuHost } from "../process/start-qemu.ts";
import { savedKey } from "./saved-key.ts";
import { linkFile, requireRoom, SAVED_FILES, type SavedVms } from "./saved-vms.ts";

/** Written by QEMU into its own folder. */
const DRAFTS = { memory: "memory.save", devices: "devices.save", above: "above.save" } as const;
const MB = 1024 * 1024;
/** Where QEMU's q35 puts memory: from this size on, only so much of it is below the devices. */
const SPLIT_FROM_MB = 2_816;
const BELOW_MB = 2_048;
const ABOVE_FROM_MB = 4_096;
const MEMORY_TIMEOUT_MS = 60_000;
const DEVICES_TIMEOUT_MS = 20_000;
const HOLES_TIMEOUT_MS = 60_000;
const execute = promisify(execFile);

/**
 * Stops a VM's workload and the VM, and saves it. Rejects when it could not; the caller then lets it
 * go on. See docs/adr/0034-snapshots-and-suspend.md.
 */
export async function saveVm(
  host: QemuHost,
  saved: SavedVms,
  vm: GuestVm,
  { name, goesOn, shape, rootfs, maxBytes }: SaveOptions,
  signal: AbortSignal,
): Promise<SavedVm> {
  const { dirs } = host;
  const runDir = dirs.runDir(vm.id);
  dirs.markSaving(vm.id);
  const { qmp } = vm;
  await withSpan("vmm.freeze", {}, async () => {
    await vm.freeze(!goesOn, signal);
    await qmp.execute("stop");
  });
  signal.throwIfAborted();
  const parts = memoryParts(shape.memoryMb);
  await withSpan("vmm.save_memory", {}, async () => {
    for (const { file, fromMb, sizeMb } of parts) {
      const part = { val: fromMb * MB, size: sizeMb * MB, filename: file };
      await qmp.execute("pmemsave", part, MEMORY_TIMEOUT_MS);
      signal.throwIfAborted();
    }
  });
  // Its name tells where it comes from; it is what saves all but memory.
  const devices = { filename: DRAFTS.devices, live: false };
  const saveDevices = () => qmp.execute("xen-save-devices-state", devices, DEVICES_TIMEOUT_MS);
  await withSpan("vmm.save_devices", {}, saveDevices);
  signal.throwIfAborted();
  await vm.untilStored();
  const draft = await saved.draft(name);
  for (const each of ["memory", "devices"] as const)
    renameSync(join(runDir, DRAFTS[each]), join(draft, SAVED_FILES[each]));
  const memory = join(draft, SAVED_FILES.memory);
  await withSpan("vmm.save_holes", {}, async () => {
    await digHoles(memory, signal);
    for (const { file, atMb } of parts.slice(1)) await append(join(runDir, file), memory, atMb, signal);
  });
  const scratch = join(runDir, VM_FILES.scratch);
  if (goesOn) {
    requireRoom(draft, scratch, maxBytes);
    const copy = join(draft, SAVED_FILES.scratch);
    await withSpan("vmm.save_disk", {}, () => copySparse(scratch, copy, signal));
  } else linkFile(scratch, join(draft, SAVED_FILES.scratch));
  signal.throwIfAborted();
  const { lastStored } = vm;
  const key = savedKey(host, shape, rootfs);
  return await saved.commit(name, { key, shape, lastLine: lastStored, isOwnDisk: !goesOn });
}

/** Copies a disk. Its holes stay holes; where the file system can, nothing is copied. */
export async function copySparse(from: string, to: string, signal: AbortSignal): Promise<void> {
  await execute("cp", ["--sparse=always", "--reflink=auto", "--no-dereference", "--", from, to], { signal });
}

/** The parts of a guest's memory: addresses, and where they are in its memory file. */
function memoryParts(memoryMb: number) {
  if (memoryMb < SPLIT_FROM_MB) return [{ file: DRAFTS.memory, fromMb: 0, sizeMb: memoryMb, atMb: 0 }];
  const above = { file: DRAFTS.above, fromMb: ABOVE_FROM_MB, sizeMb: memoryMb - BELOW_MB, atMb: BELOW_MB };
  return [{ file: DRAFTS.memory, fromMb: 0, sizeMb: BELOW_MB, atMb: 0 }, above];
}

/** Moves a file to a place in another. */
async function append(from: string, to: string, atMb: number, signal: AbortSignal): Promise<void> {
  if (!lstatSync(from).isFile()) throw new Error(`${from} is no file`);
  const places = [`if=${from}`, `of=${to}`, `seek=${atMb}`, "bs=1M", "conv=sparse,notrunc"];
  await execute("dd", ["status=none", ...places], { signal });
  rmSync(from);
}

/** Frees the pages of zeros of a file. */
async function digHoles(file: string, signal: AbortSignal): Promise<void> {
  await execute("fallocate", ["--dig-holes", file], { signal, timeout: HOLES_TIMEOUT_MS });
}
