import { rankOf } from "./percentiles.ts";
import { quickSelect } from "./quick-select.ts";

const SAMPLES = 1_024;
/** By the sample, so many times the values that are looked for are above the bound. */
const MARGIN = 2;

/**
 * Finds a quantile near 1 of a column, exactly. A sample gives a bound that few values are above: only
 * those are put in order.
 */
export function highQuantile(column: ArrayLike<number>, indices: Uint32Array, share: number): number {
  const { length } = indices;
  const wanted = length - rankOf(share, length);
  const bound = boundOf(column, indices, (MARGIN * wanted) / length);
  const above = new Uint32Array(Math.min(length, 2 * MARGIN * wanted));
  let [count, equal] = [0, 0];
  for (let at = 0; at < length; at++) {
    const value = column[indices[at] ?? 0] ?? 0;
    if (value > bound) above[count++] = value;
    else if (value === bound) equal += 1;
  }
  const isLow = count <= above.length && count + equal >= wanted;
  // The sample may have misled.
  if (!isLow) return quickSelect(valuesOf(column, indices), length - wanted);
  return count < wanted ? bound : quickSelect(above.subarray(0, count), count - wanted);
}

/** Returns a value of the column that about such a share is above. */
function boundOf(column: ArrayLike<number>, indices: Uint32Array, share: number): number {
  const count = Math.min(indices.length, SAMPLES);
  const sample = new Uint32Array(count);
  for (let k = 0; k < count; k++)
    sample[k] = column[indices[Math.floor((k * indices.length) / count)] ?? 0] ?? 0;
  sample.sort();
  return sample[Math.max(0, Math.floor((1 - share) * count) - 1)] ?? 0;
}

function valuesOf(column: ArrayLike<number>, indices: Uint32Array): Uint32Array {
  const values = new Uint32Array(indices.length);
  for (let at = 0; at < values.length; at++) values[at] = column[indices[at] ?? 0] ?? 0;
  return values;
}
