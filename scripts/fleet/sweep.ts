import { lstatSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { Layout } from "./layout.ts";
import { allProcesses, awaitEnd, inspect, type ProcessIdentity, sendSignal } from "./processes.ts";

/** In the environment of every process of a fleet: its folder. */
export const FLEET_MARK = "WINDHOVER_FLEET";

/** What is left of a fleet whose supervisor is gone. */
export interface Leftovers {
  /** Virtual machines: the next hostd takes them over. */
  readonly vms: readonly ProcessIdentity[];
  readonly postgres: readonly ProcessIdentity[];
  readonly others: readonly ProcessIdentity[];
}

/** Finds every process of a fleet: by the mark, or, where a program has overwritten its environment, by what it works on. */
export function findLeftovers(layout: Layout): Leftovers {
  const vms: ProcessIdentity[] = [];
  const postgres: ProcessIdentity[] = [];
  const others: ProcessIdentity[] = [];
  for (const each of allProcesses()) {
    if (each.pid === process.pid) continue;
    const facts = inspect(each.pid);
    const name = basename(facts.executable);
    const isMarked = facts.environment.includes(`${FLEET_MARK}=${layout.folder}`);
    const isNamed = () =>
      facts.arguments.some((arg) => arg.includes(`${layout.folder}/`) || arg.includes(`${layout.base}/`));
    if (name === "postgres" && facts.workingDirectory === join(layout.folder, "postgres"))
      postgres.push(each);
    else if (name.startsWith("redis") && facts.workingDirectory === join(layout.folder, "redis")) {
      others.push(each);
    } else if (name.startsWith("qemu-system")) {
      if (isMarked || isNamed()) vms.push(each);
    } else if (isMarked) others.push(each);
  }
  return { vms, postgres, others };
}

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
  removeSockets(layout.folder, 6);
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

/** Large folders without sockets, not worth the walk. */
const SOCKETLESS = new Set(["images", "blobs", "base", "pg_wal", "logs", "guest", "keys"]);

function removeSockets(folder: string, depth: number): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSocket()) rmSync(path, { force: true });
    if (stat?.isDirectory() && depth > 0 && !SOCKETLESS.has(name)) removeSockets(path, depth - 1);
  }
}
