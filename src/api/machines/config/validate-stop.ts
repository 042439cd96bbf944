import type { Violations } from "../../../lib/faults/violations.ts";
import { signalNumber } from "../../../lib/signals/signals.ts";
import { printable } from "./text.ts";

const MAX_STOP_MS = 300_000;

/** Checks the signal and the grace of a stop. An empty signal is valid. */
export function checkStop(
  signalField: string,
  timeoutField: string,
  signal: string,
  timeoutMs: number,
  violations: Violations,
): void {
  if (signal !== "") violations.add(signalField, signalProblem(signal));
  violations.check(timeoutMs >= 0 && timeoutMs <= MAX_STOP_MS, timeoutField, "must be 0 to 300 s");
}

/** Returns what is wrong with the name of a signal; undefined when there is such a signal. */
export function signalProblem(signal: string): string | undefined {
  if (signalNumber(signal) !== undefined) return undefined;
  return `must be a signal of Linux such as SIGTERM or SIGRTMIN+3, not "${printable(signal)}"`;
}
