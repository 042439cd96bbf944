/** One line of a result. */
export interface Row {
  /** Stable, in lower snake case: results are compared by it. */
  readonly name: string;
  readonly unit: string;
  /** Number of samples. */
  readonly n: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Summarizes samples by nearest rank: each percentile is a sample. Throws without any. */
export function summarize(name: string, unit: string, samples: readonly number[]): Row {
  if (samples.length === 0) throw new Error(`${name} was not measured`);
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN) * 1_000) / 1_000;
  return { name, unit, n: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** Returns the median by nearest rank; 0 without samples. */
export function median(samples: readonly number[]): number {
  return samples.length === 0 ? 0 : summarize("", "", samples).p50;
}
