import { existsSync, lstatSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import {
  allProcesses,
  awaitEnd,
  inspect,
  type ProcessIdentity,
  sendSignal,
} from "../../tools/lib/processes.ts";
import type { Layout } from "../settings/layout.ts";

/** In the environment of every process of a fleet: its folder. */
export const FLEET_MARK = "WINDHOVER_FLEET";

/** What is left of a fleet whose supervisor is gone. */
export interface Leftovers {
  /** Virtual machines: the next hostd takes them over. */
  readonly vms: readonly ProcessIdentity[];
  readonly postgres: readonly ProcessIdentity[];
  readonly others: readonly ProcessIdentity[];
}

/**
 * Finds every process of a fleet: by the mark, or, where a program was given another environment or has overwritten its own, by the
 * folder it works in. Folders are compared by what they are, not by name: a confined machine knows its own as `/vm`.
 */
export function findLeftovers(layout: Layout): Leftovers {
  const machineFolders = foldersBelow(join(layout.folder, "hosts"), 7);
  const postgresFolder = identityOf(join(layout.folder, "postgres"));
  const redisFolders = new Set(redisFoldersOf(layout.folder).map(identityOf));
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

/** A region has one each: `redis`, `redis-gru`. None of a fleet that is gone altogether. */
function redisFoldersOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith("redis"))
    .map((name) => join(folder, name));
}

/** QEMU, and what confines it and waits for it. */
const VM_PROGRAMS = /^(qemu-system-|bwrap$)/;

/** Device and inode; undefined when there is nothing, or nothing we may see. */
function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function foldersBelow(folder: string, depth: number): ReadonlySet<string> {
  const found = new Set<string>();
  const walk = (path: string, left: number) => {
    const identity = identityOf(path);
    if (identity === undefined) return;
    found.add(identity);
    if (left === 0) return;
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.isDirectory() && !CROWDED.has(entry.name)) walk(join(path, entry.name), left - 1);
    }
  };
  walk(folder, depth);
  return found;
}

/** Large folders where nothing works and no socket lies: not worth the walk. */
const CROWDED = new Set(["images", "blobs", "rootfs", "pins", "base", "pg_wal", "logs", "guest", "keys"]);

/**
 * Ends what a killed fleet has left, except its machines, so that a new one can begin. Killed, not asked: a hostd that is asked stops
 * its machines, and one that is killed leaves them running for the next. Everything here is made to be killed.
 */
export async function endOrphans(layout: Layout): Promise<void> {
  await endServers(findLeftovers(layout));
}

/**
 * Ends everything, machines too, and removes the sockets nobody listens on any more. Returns the numbers of the processes that it
 * found.
 */
export async function endEverything(layout: Layout): Promise<readonly number[]> {
  const found = findLeftovers(layout);
  await endServers(found);
  // hostd was killed, so nobody makes new ones.
  const { vms } = findLeftovers(layout);
  for (const each of vms) sendSignal(each, "SIGTERM");
  for (const each of await awaitEnd(vms, 3_000)) sendSignal(each, "SIGKILL");
  await mustEnd(vms);
  removeSockets(layout.folder, 8);
  return [...vms, ...found.postgres, ...found.others].map(({ pid }) => pid);
}

async function endServers({ postgres, others }: Leftovers): Promise<void> {
  for (const each of others) sendSignal(each, "SIGKILL");
  // Sessions end by themselves once their server has; one that is killed takes the others down with it.
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

function removeSockets(folder: string, depth: number): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSocket()) rmSync(path, { force: true });
    if (stat?.isDirectory() && depth > 0 && !CROWDED.has(name)) removeSockets(path, depth - 1);
  }
}
