import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** A process. Its start time tells it from a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  /** Clock ticks from the boot of the host to the start of the process. */
  readonly startTicks: string;
}

/** Identifies the process that has this pid now; undefined when there is none, or a zombie. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The program's name may contain anything, so count from the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTicks] = [fields[0], fields[19]];
    return startTicks === undefined || state === "Z" || state === "X" ? undefined : { pid, startTicks };
  } catch {
    return undefined;
  }
}

export function isAlive(id: ProcessId): boolean {
  return identify(id.pid)?.startTicks === id.startTicks;
}

/** Kills processes and waits for their end. Rejects when one still exists after `timeoutMs`. */
export async function killAndWait(ids: readonly ProcessId[], timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (const id of ids) kill(id);
  // They may be children of an earlier hostd, so their exit has to be polled.
  for (let pauseMs = 2; ids.some(isAlive); pauseMs = Math.min(pauseMs * 2, 50)) {
    if (Date.now() > deadline)
      throw new Error(`process ${ids.map(({ pid }) => pid).join(", ")} cannot be killed`);
    await delay(pauseMs);
  }
}

/** Finds every process with an argument that begins with `prefix`. */
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
