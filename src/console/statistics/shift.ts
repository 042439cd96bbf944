import { NORMAL_975 } from "./normal.ts";

/** How far b lies above a. */
export interface Shift {
  /** Hodges-Lehmann estimate: the median of all differences of a value of b and one of a. */
  readonly estimate: number;
  /** 95 % interval of the rank test, by its normal approximation. */
  readonly interval: readonly [number, number];
}

/** Estimates the shift between two samples of whole numbers in ascending order. */
export function shiftOf(a: ArrayLike<number>, b: ArrayLike<number>): Shift {
  const [n, m] = [a.length, b.length];
  const pairs = n * m;
  if (pairs === 0) return { estimate: 0, interval: [0, 0] };
  const middle = (pairs + 1) / 2;
  const low = kthDifference(a, b, Math.floor(middle));
  const estimate = Number.isInteger(middle) ? low : (low + kthDifference(a, b, Math.ceil(middle))) / 2;
  const spread = NORMAL_975 * Math.sqrt((pairs * (n + m + 1)) / 12);
  const rank = Math.max(1, Math.round(pairs / 2 - spread));
  return { estimate, interval: [kthDifference(a, b, rank), kthDifference(a, b, pairs + 1 - rank)] };
}

/** Finds the k-th smallest difference of a value of b and one of a, without making all of them. */
function kthDifference(a: ArrayLike<number>, b: ArrayLike<number>, k: number): number {
  let low = (b[0] ?? 0) - (a[a.length - 1] ?? 0);
  let high = (b[b.length - 1] ?? 0) - (a[0] ?? 0);
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if (countAtMost(a, b, middle) >= k) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Counts the pairs with b - a at most `bound`. */
function countAtMost(a: ArrayLike<number>, b: ArrayLike<number>, bound: number): number {
  let count = 0;
  let j = 0;
  for (let i = 0; i < a.length; i++) {
    while (j < b.length && (b[j] ?? 0) - (a[i] ?? 0) <= bound) j += 1;
    count += j;
  }
  return count;
}
