import { POOL_PREFIX } from "../warm-pool/warm-vm.ts";
import { findByArgument, isAlive, killAndWait, type ProcessId } from "./process-id.ts";
import type { VmDirs } from "./vm-dirs.ts";

const KILL_TIMEOUT_MS = 10_000;

/** Ends the processes of a VM and removes its directory. Safe to repeat; unknown ids are fine. */
export async function clear(dirs: VmDirs, vmId: string): Promise<void> {
  await endProcesses(dirs, vmId);
  await dirs.remove(vmId);
}

/** Ends the processes of a VM. */
export async function endProcesses(dirs: VmDirs, vmId: string): Promise<void> {
  await killAndWait(processesOf(dirs, vmId), KILL_TIMEOUT_MS);
}

/** Every VM of which anything is left, those that wait for a machine left out. */
export function listVms(dirs: VmDirs): string[] {
  // In this order: a VM that is given to a machine meanwhile is found by its new directory.
  const running = findByArgument(dirs.mark);
  const ids = dirs.list();
  const records = ids.map((id) => dirs.readRecord(id));
  const known = new Set(records.flatMap((record) => [record?.qemu.pid, record?.parent?.pid]));
  const strays = running
    .filter(({ id }) => !known.has(id.pid))
    .map(({ argument }) => argument.slice(dirs.mark.length))
    .filter((id) => !(id.startsWith(POOL_PREFIX) && ids.includes(id)));
  return [...new Set([...ids.filter((id) => !id.startsWith(POOL_PREFIX)), ...strays])];
}

/** Ends what an earlier hostd had waiting. To be called before the first VM is made to wait. */
export async function clearWaiting(dirs: VmDirs): Promise<void> {
  const strays = listVms(dirs).filter((id) => id.startsWith(POOL_PREFIX));
  const waiting = dirs.list().filter((id) => id.startsWith(POOL_PREFIX));
  await Promise.all([...new Set([...strays, ...waiting])].map((id) => clear(dirs, id)));
}

function processesOf(dirs: VmDirs, vmId: string): ProcessId[] {
  const record = dirs.readRecord(vmId);
  const known = [record?.qemu, record?.parent].filter((id) => id !== undefined);
  if (known.some(isAlive)) return known;
  // Without a record, or with one from before a crash, only the process table knows.
  return findByArgument(dirs.mark + vmId)
    .filter(({ argument }) => argument === dirs.mark + vmId)
    .map(({ id }) => id);
}
