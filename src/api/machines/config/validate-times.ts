import type { Check } from "./text.ts";

const S = 1_000;

/** Checks a duration. An absent one is valid. */
export function checkTime(
  ms: number | undefined,
  minMs: number,
  maxMs: number,
  field: string,
  check: Check,
): void {
  const isWithin = ms === undefined || (ms >= minMs && ms <= maxMs);
  check(isWithin, field, `must be ${timeText(minMs)} to ${timeText(maxMs)}, not ${timeText(ms ?? 0)}`);
}

/** Writes a duration in its largest whole unit: `90 s`, `5 min`, `365 days`. */
export function timeText(ms: number): string {
  if (ms !== 0 && ms % (24 * 3_600 * S) === 0 && ms > 24 * 3_600 * S) return `${ms / (24 * 3_600 * S)} days`;
  if (ms !== 0 && ms % (3_600 * S) === 0) return `${ms / (3_600 * S)} h`;
  if (ms !== 0 && ms % (60 * S) === 0 && ms > 60 * S) return `${ms / (60 * S)} min`;
  return Math.abs(ms) >= S || ms === 0 ? `${ms / S} s` : `${ms} ms`;
}
