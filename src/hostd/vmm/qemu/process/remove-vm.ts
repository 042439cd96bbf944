import { findByArgument, isAlive, killAndWait, type ProcessId } from "./process-id.ts";
import { POOL_PREFIX, type VmDirs } from "./vm-dirs.ts";

const KILL_TIMEOUT_MS = 10_000;

/** Ends the processes of a VM and removes its folder. Safe to repeat; unknown ids are fine. */
export async function removeVm(dirs: VmDirs, vmId: string): Promise<void> {
  await endProcesses(dirs, vmId);
  await dirs.remove(vmId);
}

export async function endProcesses(dirs: VmDirs, vmId: string): Promise<void> {
  await killAndWait(processesOf(dirs, vmId), KILL_TIMEOUT_MS);
}

/** Lists every VM that has a folder or a process, warm VMs excepted. */
export function listVms(dirs: VmDirs): string[] {
  // Processes first: a warm VM that a machine gets meanwhile is found by its new folder.
  const running = findByArgument(dirs.namePrefix);
  const ids = dirs.list();
  const records = ids.map((id) => dirs.readRecord(id));
  const known = new Set(records.flatMap((record) => [record?.qemu.pid, record?.parent?.pid]));
  const strays = running
    .filter(({ id }) => !known.has(id.pid))
    .map(({ argument }) => argument.slice(dirs.namePrefix.length))
    .filter((id) => !(isWarm(id) && ids.includes(id)));
  return [...new Set([...ids.filter((id) => !isWarm(id)), ...strays])];
}

/** Removes the warm VMs of an earlier hostd. Call it before the first one is made. */
export async function removeWarmVms(dirs: VmDirs): Promise<void> {
  const ids = new Set([...listVms(dirs), ...dirs.list()].filter(isWarm));
  await Promise.all([...ids].map((id) => removeVm(dirs, id)));
}

function isWarm(vmId: string): boolean {
  return vmId.startsWith(POOL_PREFIX);
}

function processesOf(dirs: VmDirs, vmId: string): ProcessId[] {
  const record = dirs.readRecord(vmId);
  const known = [record?.qemu, record?.parent].filter((id) => id !== undefined);
  if (known.some(isAlive)) return known;
  // Without a record, or with an old one, only the process table knows.
  const name = dirs.namePrefix + vmId;
  return findByArgument(name)
    .filter(({ argument }) => argument === name)
    .map(({ id }) => id);
}
