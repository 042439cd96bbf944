/** Nanoseconds of the units that Go knows. Both spellings of µ are in use. */
const UNITS = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["µs", 1e3],
  ["μs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
]);
const PART = /^(\d+\.?\d*|\.\d+)([^\d.]*)/;
/** Longer text is no duration, and is cut in errors. */
const MAX_CHARS = 64;
/** Go counts in 64-bit integers. */
const MAX_NS = 2 ** 63;
const NS_PER_MS = 1e6;

/**
 * Reads a duration as Go writes it: `300ms`, `1m30s`, `1.5h`.
 *
 * @returns milliseconds
 * @throws Error with the text of Go's parser, which clients know
 */
export function parseDuration(text: string): number {
  const quoted = JSON.stringify(text.slice(0, MAX_CHARS));
  if (text.length > MAX_CHARS) throw new Error(`time: invalid duration ${quoted}`);
  const sign = text.startsWith("-") ? -1 : 1;
  let rest = text.replace(/^[+-]/, "");
  if (rest === "0") return 0;
  if (rest === "") throw new Error(`time: invalid duration ${quoted}`);
  let ns = 0;
  while (rest !== "") {
    const [part, number, unit] = PART.exec(rest) ?? [];
    if (part === undefined || unit === undefined) throw new Error(`time: invalid duration ${quoted}`);
    if (unit === "") throw new Error(`time: missing unit in duration ${quoted}`);
    const factor = UNITS.get(unit);
    if (factor === undefined) {
      throw new Error(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`);
    }
    ns += Number(number) * factor;
    rest = rest.slice(part.length);
  }
  if (ns >= MAX_NS) throw new Error(`time: invalid duration ${quoted}`);
  return (sign * ns) / NS_PER_MS;
}

/** Writes a duration as Go does: `300ms`, `1m30s`, `1h0m0s`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  const ns = Math.round(ms * NS_PER_MS);
  if (ns === 0) return "0s";
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}µs`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const hours = Math.floor(ns / 3600e9);
  const minutes = Math.floor((ns % 3600e9) / 60e9);
  const seconds = `${secondsText(ns % 60e9)}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

/** Writes seconds without an exponent, which nobody reads. */
function secondsText(ns: number): string {
  return (ns / 1e9).toFixed(9).replace(/\.?0+$/, "");
}

/** Whether two texts are durations of the same length: `90s` and `1m30s`. */
export function isSameDuration(a: string, b: string): boolean {
  try {
    return parseDuration(a) === parseDuration(b);
  } catch {
    return false;
  }
}
