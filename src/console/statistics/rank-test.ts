import { normalTail } from "./normal.ts";

/** The outcome of a Mann-Whitney test. */
export interface RankTest {
  /** Pairs in which b is larger, ties half. */
  readonly u: number;
  /** Two-sided. */
  readonly p: number;
  /** Probability that one of b is larger than one of a, ties half. */
  readonly effect: number;
}

/** With at most so many values on a side, and no ties, p is counted out; else it is approximated. */
const EXACT_COUNT = 8;
/** Bounds the counting, which takes the product of both counts in memory. */
const EXACT_OTHER_COUNT = 200;

/**
 * Mann-Whitney test of two samples in ascending order: whether values of one tend to be larger. The
 * normal approximation corrects for ties and for continuity, as SciPy's and R's do.
 */
export function rankTest(a: ArrayLike<number>, b: ArrayLike<number>): RankTest {
  const [n, m] = [a.length, b.length];
  if (n === 0 || m === 0) return { u: 0, p: 1, effect: 0.5 };
  const { u, tieTerm } = pairsAbove(a, b);
  const effect = u / (n * m);
  const few = Math.min(n, m);
  if (tieTerm === 0 && few <= EXACT_COUNT && Math.max(n, m) <= EXACT_OTHER_COUNT)
    return { u, p: exactP(u, n, m), effect };
  const all = n + m;
  const variance = ((n * m) / 12) * (all + 1 - tieTerm / (all * (all - 1)));
  if (variance <= 0) return { u, p: 1, effect };
  const distance = Math.max(0, Math.abs(u - (n * m) / 2) - 0.5);
  return { u, p: Math.min(1, 2 * normalTail(distance / Math.sqrt(variance))), effect };
}

/** Counts pairs in which b is larger. `tieTerm` is the sum of t³ - t over groups of t equal values. */
function pairsAbove(a: ArrayLike<number>, b: ArrayLike<number>) {
  let [i, j, u, tieTerm] = [0, 0, 0, 0];
  while (i < a.length || j < b.length) {
    const value = Math.min(a[i] ?? Number.POSITIVE_INFINITY, b[j] ?? Number.POSITIVE_INFINITY);
    const below = i;
    while (i < a.length && a[i] === value) i += 1;
    const first = j;
    while (j < b.length && b[j] === value) j += 1;
    const [ofA, ofB] = [i - below, j - first];
    if (ofA + ofB === 0) break;
    u += ofB * (below + ofA / 2);
    const ties = ofA + ofB;
    tieTerm += ties ** 3 - ties;
  }
  return { u, tieTerm };
}

/** Counts the orders of n and m values in which U is at least as far from its mean. */
function exactP(u: number, n: number, m: number): number {
  const extreme = Math.max(u, n * m - u);
  // ways[j][k]: orders of i values of one side and j of the other with U = k.
  let ways: Float64Array[] = Array.from({ length: m + 1 }, () => Float64Array.of(1));
  for (let i = 1; i <= n; i++) {
    const next: Float64Array[] = [Float64Array.of(1)];
    for (let j = 1; j <= m; j++) {
      const counts = new Float64Array(i * j + 1);
      // The largest value is of the one side, above all j of the other, or of the other.
      for (const [k, count] of (ways[j] ?? []).entries()) counts[k + j] = (counts[k + j] ?? 0) + count;
      for (const [k, count] of (next[j - 1] ?? []).entries()) counts[k] = (counts[k] ?? 0) + count;
      next.push(counts);
    }
    ways = next;
  }
  const counts = ways[m] ?? Float64Array.of(1);
  let [all, atLeast] = [0, 0];
  for (const [k, count] of counts.entries()) {
    all += count;
    if (k >= extreme) atLeast += count;
  }
  return Math.min(1, (2 * atLeast) / all);
}
