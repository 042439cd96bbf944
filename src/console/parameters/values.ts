import { parseDuration } from "../../lib/config/duration.ts";

/** A part of the heat map. */
export interface Box {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly minUs: number;
  readonly maxUs: number;
}

/** The last millisecond of a Date. */
const MAX_MS = 8.64e15;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** Reads RFC 3339, or milliseconds since the epoch. */
export function readInstant(text: string): number | undefined {
  const ms = /^\d{1,16}(?:\.\d+)?$/.test(text)
    ? Number(text)
    : RFC_3339.test(text)
      ? Date.parse(text)
      : Number.NaN;
  return Number.isFinite(ms) && ms <= MAX_MS ? ms : undefined;
}

/** Reads a duration such as `800us`, `20ms` or `1.5s`, in microseconds. */
export function readDurationUs(text: string): number | undefined {
  const [, amount] = /^(\d{1,12}(?:\.\d{1,6})?)(?:us|µs)$/.exec(text) ?? [];
  if (amount !== undefined) return Number(amount);
  const ms = parseDuration(text);
  return ms === undefined || !Number.isFinite(ms) ? undefined : ms * 1_000;
}

/** Reads `FROM_MS,UNTIL_MS,MIN_US,MAX_US`. */
export function readBox(text: string): Box | undefined {
  if (!/^\d{1,16}(?:\.\d{1,6})?(?:,\d{1,16}(?:\.\d{1,6})?){3}$/.test(text)) return undefined;
  const [fromMs = 0, untilMs = 0, minUs = 0, maxUs = 0] = text.split(",").map(Number);
  return fromMs < untilMs && minUs < maxUs ? { fromMs, untilMs, minUs, maxUs } : undefined;
}

/** Reads a whole number within bounds. */
export function readInteger(text: string, min: number, max: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}
