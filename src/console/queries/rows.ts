import type { Row } from "../answers/operations.ts";
import type { Columns } from "../columns/columns.ts";
import { hopMeans } from "../columns/hop-means.ts";
import { keep } from "../columns/select.ts";
import { rankOf } from "../statistics/percentiles.ts";

/** Operations on each side of the median from which the typical time of a hop is taken. */
const AROUND_MEDIAN = 0.025;

/** Means of hops in the median operation, by the number of the hop. @param selected shortest first */
export function typicalHops(columns: Columns, selected: Uint32Array): Float64Array {
  const middle = rankOf(0.5, selected.length);
  const reach = Math.floor(AROUND_MEDIAN * selected.length);
  const around = selected.subarray(Math.max(0, middle - reach), middle + reach + 1);
  return hopMeans(columns, around);
}

/** Shows operations in a list. @param typical of {@link typicalHops} */
export function rowsOf(columns: Columns, indices: ArrayLike<number>, typical: Float64Array): Row[] {
  return Array.from(indices, (index) => {
    const dominant = columns.dominantOf(index);
    const code = columns.hopNames.find(dominant);
    const us = code === undefined ? 0 : (columns.hops[code]?.[index] ?? 0);
    // A hop that the typical operation does not have took at least a microsecond there.
    const usual = Math.max(1, code === undefined ? 0 : (typical[code] ?? 0));
    return { ...columns.at(index), dominant, dominant_ratio: us / usual };
  });
}

/** Returns the slowest, slowest first. @param selected shortest first */
export function slowest(selected: Uint32Array, count: number): Uint32Array {
  return selected.slice(Math.max(0, selected.length - count)).reverse();
}

/** Returns the latest, latest first. */
export function latest(columns: Columns, selected: Uint32Array, count: number): Uint32Array {
  const { startMs } = columns.numbers;
  return selected.toSorted((a, b) => (startMs[b] ?? 0) - (startMs[a] ?? 0) || b - a).subarray(0, count);
}

/** Returns those that failed. */
export function failures(columns: Columns, selected: Uint32Array): Uint32Array {
  const noReason = columns.reasons.find("") ?? -1;
  return keep(selected, (i) => columns.numbers.reason[i] !== noReason);
}
