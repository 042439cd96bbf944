import { readFileSync } from "node:fs";

/** What the kernel counts processor time in, for programs: hundredths of a second on every Linux. */
const TICK_MS = 10;

/** Processor time that a process has used so far, all its threads together, in milliseconds; 0 once it is gone. */
export function cpuMs(pid: number): number {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return 0;
  }
}

/** The same from the text of `/proc/PID/stat`. */
export function parseStat(stat: string): number {
  // The name stands in parentheses and may hold anything; the fields count from behind it, the state being the third.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [fields[11], fields[12]].map(Number);
  return TICK_MS * ((user ?? 0) + (system ?? 0));
}
