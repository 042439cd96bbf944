import { globSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { allProcesses, inspect, type ProcessFacts } from "../../tools/lib/processes.ts";

/** A VM's process. */
export type VmProcess = ProcessFacts & { readonly pid: number };

/** Every QEMU of a fleet, whether it serves a machine or waits: known by the folder it works in, whatever that is called where it is confined. */
export function vmsOf(fleetFolder: string): readonly VmProcess[] {
  const folders = new Set(
    globSync(join(fleetFolder, "hosts/*/hostd")).flatMap((hostd) =>
      readdirSync(hostd, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .flatMap((entry) => identityOf(join(entry.parentPath, entry.name))),
    ),
  );
  return allProcesses()
    .map(({ pid }) => ({ pid, ...inspect(pid) }))
    .filter(({ executable }) => basename(executable).startsWith("qemu-system-"))
    .filter(({ pid }) => identityOf(`/proc/${pid}/cwd`).some((identity) => folders.has(identity)));
}

/** Device and inode, in a list; empty when there is nothing, any more. */
function identityOf(path: string): readonly string[] {
  try {
    const { dev, ino } = statSync(path);
    return [`${dev}:${ino}`];
  } catch {
    return [];
  }
}
