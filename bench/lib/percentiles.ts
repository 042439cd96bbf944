/** One line of a result: what was measured, in which unit, how often, and how it was distributed. */
export interface Row {
  /** Lower snake case, stable: what results are compared by. */
  readonly name: string;
  readonly unit: string;
  /** Number of samples. */
  readonly n: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Sums samples up. Throws when there are none: what was not measured has no row. */
export function summarize(name: string, unit: string, samples: readonly number[]): Row {
  if (samples.length === 0) throw new Error(`${name} was not measured`);
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => round(nearestRank(sorted, share));
  return { name, unit, n: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/**
 * The smallest sample that at least `share` (0 to 1) of all are not above: always one that was really seen. Below 100 samples the
 * 99th percentile is the maximum. `sorted` ascends and is not empty.
 */
function nearestRank(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Microseconds are as fine as any clock here. */
function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
