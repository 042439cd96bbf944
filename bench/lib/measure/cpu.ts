import { readFileSync } from "node:fs";

/** The kernel reports processor time in hundredths of a second. */
const TICK_MS = 10;

/** Returns the processor time that a process has used, in milliseconds; 0 when it has ended. */
export function cpuMs(pid: number): number {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return 0;
  }
}

/** Reads the same from the text of `/proc/PID/stat`. */
export function parseStat(stat: string): number {
  // The second field is the name, in parentheses, and may contain anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return TICK_MS * (Number(fields[11]) + Number(fields[12]));
}
