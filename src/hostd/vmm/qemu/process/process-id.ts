import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process, told apart from a later one with the same pid by when it began. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks between the boot of the host and the start of the process. */
  readonly startTicks: string;
}

/** Names the process that has this pid now; undefined when there is none, or only its remains. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name may hold anything, so count from the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTicks] = [fields[0], fields[19]];
    return startTicks === undefined || state === "Z" || state === "X" ? undefined : { pid, startTicks };
  } catch {
    return undefined;
  }
}

/** Whether this very process is still there. */
export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTicks === id.startTicks;
}

/** Kills the processes and waits until they are gone. Rejects when one is still there after `timeoutMs`. */
export async function killAndWait(ids: readonly ProcessId[], timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (const id of ids) kill(id);
  // They may belong to an earlier hostd, so there is no exit to be told of.
  for (let pauseMs = 2; ids.some(isAlive); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (Date.now() > deadline)
      throw new Error(`process ${ids.map(({ pid }) => pid).join(", ")} cannot be killed`);
    await delay(pauseMs);
  }
}

/** Every process whose command line has `argument`, or an argument that begins so and goes on. */
export function findByArgument(prefix: string): { readonly id: ProcessId; readonly argument: string }[] {
  const found: { id: ProcessId; argument: string }[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const argument = commandLine(name).find((each) => each.startsWith(prefix));
    const id = argument === undefined ? undefined : identify(Number(name));
    if (id && argument !== undefined) found.push({ id, argument });
  }
  return found;
}

function commandLine(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

function kill(id: ProcessId): void {
  if (!isAlive(id)) return;
  try {
    process.kill(id.pid, "SIGKILL");
  } catch {
    // It ended in between.
  }
}
