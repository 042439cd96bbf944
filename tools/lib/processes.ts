import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process. The start time tells it from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process. */
  readonly startTicks: number;
}

/** Finds the process that has a number now. A zombie counts as none. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined || stat.state === "Z" ? undefined : { pid, startTicks: stat.startTicks };
}

/** Whether exactly this process still runs. */
export function isAlive(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTicks === process.startTicks;
}

/** Sends a signal if exactly this process still runs; returns whether it did. */
export function sendSignal(target: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Waits until all of these have ended; returns those that still run after the timeout. */
export async function awaitEnd(
  processes: readonly ProcessIdentity[],
  timeoutMs: number,
): Promise<readonly ProcessIdentity[]> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const left = processes.filter(isAlive);
    if (left.length === 0 || Date.now() >= deadline) return left;
    await delay(20);
  }
}

/** Lists the processes of this machine. */
export function allProcesses(): readonly ProcessIdentity[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => identify(Number(entry)) ?? []);
}

/** Lists a process and everything below it, parents first. */
export function processTree(root: ProcessIdentity): readonly ProcessIdentity[] {
  const children = new Map<number, ProcessIdentity[]>();
  for (const each of allProcesses()) {
    const parent = readStat(each.pid)?.parent ?? 0;
    children.set(parent, [...(children.get(parent) ?? []), each]);
  }
  const tree: ProcessIdentity[] = isAlive(root) ? [root] : [];
  for (const each of tree) tree.push(...(children.get(each.pid) ?? []));
  return tree;
}

/** Facts about a process. Fields that may not be read are empty. */
export interface ProcessFacts {
  readonly executable: string;
  readonly arguments: readonly string[];
  readonly workingDirectory: string;
  /** `NAME=value`, as it was started with. */
  readonly environment: readonly string[];
}

export function inspect(pid: number): ProcessFacts {
  return {
    executable: orElse(() => readlinkSync(`/proc/${pid}/exe`), ""),
    arguments: readList(pid, "cmdline"),
    workingDirectory: orElse(() => readlinkSync(`/proc/${pid}/cwd`), ""),
    environment: readList(pid, "environ"),
  };
}

/** Lists what a process has open, e.g. `socket:[123]`. */
export function openFiles(pid: number): readonly string[] {
  const descriptors = orElse(() => readdirSync(`/proc/${pid}/fd`), []);
  return descriptors.map((each) => orElse(() => readlinkSync(`/proc/${pid}/fd/${each}`), ""));
}

/** Returns the id of this boot: process numbers of another boot mean nothing. */
export function bootId(): string {
  return orElse(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8"), "").trim();
}

function readList(pid: number, file: "cmdline" | "environ"): readonly string[] {
  return orElse(() => readFileSync(`/proc/${pid}/${file}`, "utf8"), "")
    .split("\0")
    .filter((each) => each !== "");
}

function readStat(pid: number): { state: string; parent: number; startTicks: number } | undefined {
  const text = orElse(() => readFileSync(`/proc/${pid}/stat`, "utf8"), "");
  // The second field is the program's name in brackets and may hold spaces and brackets itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, parent, startTicks] = [fields[0], fields[1], fields[19]];
  if (state === undefined || parent === undefined || startTicks === undefined) return undefined;
  return { state, parent: Number(parent), startTicks: Number(startTicks) };
}

function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
