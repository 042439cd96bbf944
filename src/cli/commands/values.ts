import { InvalidArgumentError } from "commander";
import { parseDuration } from "../../lib/config/duration.ts";

/** Collects `K=V` of `-e` and `-m`. The value may be empty and may contain `=`. */
export function pair(raw: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = raw.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`Write NAME=VALUE, not "${raw}".`);
  return { ...before, [raw.slice(0, at)]: raw.slice(at + 1) };
}

const MB_PER_UNIT: Readonly<Record<string, number>> = { m: 1, g: 1_024, t: 1_024 * 1_024 };

/** Parses an amount of memory or disk such as `512`, `512mb`, `1gb`, `2tb` into MB. */
export function amountMb(raw: string): number {
  const [, amount, unit = "m"] = /^(\d+)\s*(?:([mgt])(?:b|ib)?)?$/i.exec(raw) ?? [];
  const mb = Number(amount) * (MB_PER_UNIT[unit.toLowerCase()] ?? 1);
  if (amount === undefined || !Number.isSafeInteger(mb) || mb > 2 ** 31 - 1) {
    throw new InvalidArgumentError(`Write an amount such as 512, 512mb or 1gb, not "${raw}".`);
  }
  return mb;
}

/** Makes a parser of whole numbers within bounds. */
export function whole(min: number, max: number): (raw: string) => number {
  return (raw) => {
    const value = /^\d+$/.test(raw) ? Number(raw) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}, not "${raw}".`);
  };
}

/** Parses `90`, `90s`, `500ms`, `5m`, `7d` into milliseconds. A bare number is seconds. */
export function duration(raw: string): number {
  const ms = parseDuration(/\d$/.test(raw) ? `${raw}s` : raw);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError(`Write a length of time such as 30s, 500ms or 5m, not "${raw}".`);
}

/** Parses a time such as `2026-12-31T00:00:00Z`, or one that is so far away: `12h`. */
export function instant(raw: string): Date {
  const at = /^\d{4}-\d\d-\d\d/.test(raw) ? new Date(raw) : new Date(Date.now() + duration(raw));
  if (!Number.isNaN(at.getTime()) && at.getTime() > Date.now()) return at;
  throw new InvalidArgumentError(
    `Write a time that is to come, such as 2026-12-31T00:00:00Z or 12h, not "${raw}".`,
  );
}

/** Parses a time such as `2026-12-31T00:00:00Z`, or one that was so long ago: `10m`. */
export function instantBefore(raw: string): Date {
  const at = /^\d{4}-\d\d-\d\d/.test(raw) ? new Date(raw) : new Date(Date.now() - duration(raw));
  if (!Number.isNaN(at.getTime())) return at;
  throw new InvalidArgumentError(`Write a time such as 2026-12-31T00:00:00Z or 10m, not "${raw}".`);
}

/** Collects words separated by commas. The flag may be given several times. */
export function words(raw: string, before: readonly string[] = []): readonly string[] {
  const more = raw.split(",").map((word) => word.trim());
  return [...before, ...more.filter((word) => word !== "")];
}

/** Normalises the name of a signal: `term`, `TERM` and `SIGTERM` are one. */
export function signalName(raw: string): string {
  const name = raw.toUpperCase();
  return name.startsWith("SIG") ? name : `SIG${name}`;
}
