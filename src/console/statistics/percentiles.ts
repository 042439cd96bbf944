import type { Percentiles } from "../../lib/latency/answers.ts";
import { quickSelect } from "./quick-select.ts";

/** Returns the index of the smallest value that a share of `count` values has at most. */
export function rankOf(share: number, count: number): number {
  // Shares such as 0.9 are not exact: 0.9 * 10 may be above 9.
  return Math.max(0, Math.min(count, Math.ceil(share * count - 1e-9)) - 1);
}

/** Percentiles of values in ascending order. */
export function percentilesOf(count: number, valueAt: (rank: number) => number): Percentiles {
  if (count === 0) return { count, p50: 0, p90: 0, p99: 0, max: 0 };
  const at = (share: number) => valueAt(rankOf(share, count));
  return { count, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: valueAt(count - 1) };
}

/** Percentiles of a column, at indices in ascending order of its values. */
export function percentilesAt(column: ArrayLike<number>, ascending: ArrayLike<number>): Percentiles {
  return percentilesOf(ascending.length, (rank) => column[ascending[rank] ?? 0] ?? 0);
}

/** Percentiles of a column of whole numbers at any indices. */
export function percentilesOfUnsorted(column: ArrayLike<number>, indices: Uint32Array): Percentiles {
  const values = new Uint32Array(indices.length);
  for (let at = 0; at < values.length; at++) values[at] = column[indices[at] ?? 0] ?? 0;
  return percentilesOf(values.length, (rank) => quickSelect(values, rank));
}

/** The median; 0 without values. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[sorted.length / 2 - 1] ?? 0) + upper) / 2;
}
