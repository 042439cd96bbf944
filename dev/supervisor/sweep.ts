import { type Dirent, globSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import {
  allProcesses,
  awaitEnd,
  inspect,
  type ProcessIdentity,
  sendSignal,
} from "../../tools/lib/processes.ts";
import type { Layout } from "../settings/layout.ts";

/** Variable of every process of a fleet: its folder. */
export const FLEET_MARK = "WINDHOVER_FLEET";

/** Processes of a fleet whose supervisor is gone. */
export interface Leftovers {
  /** VMs: the next hostd takes them over. */
  readonly vms: readonly ProcessIdentity[];
  readonly postgres: readonly ProcessIdentity[];
  readonly others: readonly ProcessIdentity[];
}

/**
 * Finds every process of a fleet: by the mark, or, where a program has another environment or has
 * overwritten it, by its working folder. Folders are compared by inode: a confined VM knows its own
 * as `/vm`.
 */
export function findLeftovers(layout: Layout): Leftovers {
  const machineFolders = new Set(
    entriesBelow(join(layout.folder, "hosts"))
      .filter((entry) => entry.isDirectory())
      .map((entry) => identityOf(join(entry.parentPath, entry.name))),
  );
  const postgresFolder = identityOf(join(layout.folder, "postgres"));
  const redisFolders = new Set(
    globSync("redis*", { cwd: layout.folder }).map((name) => identityOf(join(layout.folder, name))),
  );
  const vms: ProcessIdentity[] = [];
  const postgres: ProcessIdentity[] = [];
  const others: ProcessIdentity[] = [];
  for (const each of allProcesses()) {
    if (each.pid === process.pid) continue;
    const { executable, environment } = inspect(each.pid);
    const name = basename(executable);
    const workplace = identityOf(`/proc/${each.pid}/cwd`);
    if (name === "postgres" && workplace === postgresFolder) postgres.push(each);
    else if (name.startsWith("redis") && workplace !== undefined && redisFolders.has(workplace))
      others.push(each);
    else if (VM_PROGRAMS.test(name) && workplace !== undefined && machineFolders.has(workplace))
      vms.push(each);
    else if (environment.includes(`${FLEET_MARK}=${layout.folder}`)) others.push(each);
  }
  return { vms, postgres, others };
}

/** QEMU, and the program that confines it. */
const VM_PROGRAMS = /^(qemu-system-|bwrap$)/;

/** Device and inode; undefined when we may not see it. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** Large folders in which no process works and no socket lies. */
const SKIPPED = new Set(["images", "blobs", "rootfs", "pins", "base", "pg_wal", "logs", "guest", "keys"]);

function entriesBelow(folder: string): readonly Dirent[] {
  return globSync("**", { cwd: folder, withFileTypes: true, exclude: (entry) => SKIPPED.has(entry.name) });
}

/** Kills what a killed fleet has left, except VMs, which a hostd that ends properly would stop. */
export async function endOrphans(layout: Layout): Promise<void> {
  await endServers(findLeftovers(layout));
}

/** Ends everything, VMs too, and removes sockets. Returns the processes that it found. */
export async function endEverything(layout: Layout): Promise<readonly number[]> {
  const found = findLeftovers(layout);
  await endServers(found);
  // hostd is gone, so there are no new ones.
  const { vms } = findLeftovers(layout);
  for (const each of vms) sendSignal(each, "SIGTERM");
  for (const each of await awaitEnd(vms, 3_000)) sendSignal(each, "SIGKILL");
  await mustEnd(vms);
  const sockets = entriesBelow(layout.folder).filter((entry) => entry.isSocket());
  for (const each of sockets) rmSync(join(each.parentPath, each.name), { force: true });
  return [...vms, ...found.postgres, ...found.others].map(({ pid }) => pid);
}

async function endServers({ postgres, others }: Leftovers): Promise<void> {
  for (const each of others) sendSignal(each, "SIGKILL");
  // Its sessions end with the server.
  const [server] = postgres;
  if (server !== undefined) sendSignal(server, "SIGINT");
  for (const each of await awaitEnd(postgres, 10_000)) sendSignal(each, "SIGKILL");
  await mustEnd([...others, ...postgres]);
}

async function mustEnd(processes: readonly ProcessIdentity[]): Promise<void> {
  const left = await awaitEnd(processes, 10_000);
  if (left.length > 0)
    throw new Error(`these processes do not end: ${left.map((each) => each.pid).join(", ")}`);
}
