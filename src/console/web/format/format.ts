/** Formats microseconds with three digits and the unit that fits: `820 µs`, `4.12 ms`, `1.24 s`. */
export function duration(us: number): string {
  const sign = us <= -0.5 ? "−" : "";
  const value = Math.abs(us);
  if (value < 999.5) return `${sign}${Math.round(value)} µs`;
  if (value < 999_500) return `${sign}${threeDigits(value / 1_000)} ms`;
  if (value < 59_950_000) return `${sign}${threeDigits(value / 1_000_000)} s`;
  const seconds = Math.round(value / 1_000_000);
  if (seconds < 3_600) return `${sign}${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${sign}${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

/** Like {@link duration}, always with a sign. */
export function change(us: number): string {
  return us >= 0.5 ? `+${duration(us)}` : duration(us);
}

/** Formats a duration for an axis: `1 ms`, `20 ms`, `5 s`. */
export function tick(us: number): string {
  const [value, unit] = us < 1_000 ? [us, "µs"] : us < 1_000_000 ? [us / 1_000, "ms"] : [us / 1_000_000, "s"];
  return `${Number(value.toPrecision(2))} ${unit}`;
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function count(value: number): string {
  return grouped.format(value);
}

/** Formats a count with its noun: `1 start`, `12,345 starts`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Formats a share of 0 to 1. Only all is 100 %, only nothing is 0 %. */
export function share(value: number): string {
  const percent = value * 100;
  if (value > 0 && percent < 0.1) return "<0.1 %";
  if (value < 1 && percent > 99.9) return `${(Math.floor(percent * 100) / 100).toFixed(2)} %`;
  return `${percent.toFixed(percent >= 99.95 || percent < 0.05 ? 0 : 1)} %`;
}

/** Formats a change as a share of what was: `+12 %`, `−3 %`, `0 %`. */
export function relativeChange(value: number): string {
  const percent = Math.round(value * 100);
  if (percent > 999) return `×${threeDigits(value + 1)}`;
  return percent === 0 ? "0 %" : `${percent > 0 ? "+" : "−"}${Math.abs(percent)} %`;
}

export function times(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)}×`;
}

/** Formats bytes in powers of 1024. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let rest = value;
  let unit = 0;
  for (; rest >= 999.5 && unit < units.length - 1; unit++) rest /= 1_024;
  return `${unit === 0 ? Math.round(rest) : threeDigits(rest)} ${units[unit]}`;
}

/** Formats a probability of a test: `p = 0.03`, `p < 0.001`. */
export function probability(p: number): string {
  return p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}
