const STEPS = [
  [60, "s"],
  [60, "m"],
  [24, "h"],
  [Number.POSITIVE_INFINITY, "d"],
] as const;

/** Formats how long ago something was: `now`, `42s ago`, `12d ago`, `in 5m`; `-` when unknown. */
export function ago(time: Date | undefined, nowMs: number): string {
  if (!time) return "-";
  const seconds = Math.round((nowMs - time.getTime()) / 1_000);
  if (Math.abs(seconds) < 1) return "now";
  let amount = Math.abs(seconds);
  for (const [size, unit] of STEPS) {
    if (amount < size) return seconds > 0 ? `${amount}${unit} ago` : `in ${amount}${unit}`;
    amount = Math.floor(amount / size);
  }
  return "-";
}

/** Formats a duration: `870 µs`, `3.2 ms`, `87 ms`, `1.24 s`, `2 m 05 s`. */
export function span(ms: number): string {
  if (ms < 1) return `${Math.round(ms * 1_000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(2)} s`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
}

/** Formats an amount of memory or disk: `256 MB`, `1.5 GB`, `2 TB`. Units are of 1024. */
export function megabytes(mb: number): string {
  if (mb < 1_024) return `${Math.round(mb)} MB`;
  const gb = mb / 1_024;
  return gb < 1_024 ? `${Number(gb.toFixed(1))} GB` : `${Number((gb / 1_024).toFixed(1))} TB`;
}

export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
