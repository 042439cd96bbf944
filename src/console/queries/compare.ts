import type { Comparison } from "../../lib/latency/answers.ts";
import type { Columns } from "../columns/columns.ts";
import { meanOf } from "../columns/hop-means.ts";
import { holm } from "../statistics/holm.ts";
import { percentilesAt, rankOf } from "../statistics/percentiles.ts";
import { rankTest } from "../statistics/rank-test.ts";
import { shiftOf } from "../statistics/shift.ts";

/** Below this on a side nothing is concluded. */
const FEWEST = 8;
/** A difference that chance makes less often is called one. */
const SIGNIFICANCE = 0.01;
/** Points of the drawn distributions. */
const POINTS = 100;

/** Compares two sets of operations. @param a shortest first, as `b` */
export function compare(columns: Columns, a: Uint32Array, b: Uint32Array): Comparison {
  const { durationUs } = columns.numbers;
  const [ofA, ofB] = [a, b].map((set) => Float64Array.from(set, (i) => durationUs[i] ?? 0));
  const [first, second] = [ofA ?? new Float64Array(), ofB ?? new Float64Array()];
  const { p, effect } = rankTest(first, second);
  const { estimate, interval } = shiftOf(first, second);
  const isFew = Math.min(a.length, b.length) < FEWEST;
  const direction = effect > 0.5 ? "slower" : "faster";
  return {
    a: percentilesAt(durationUs, a),
    b: percentilesAt(durationUs, b),
    test: {
      ...{ p, effect, shift_us: estimate, interval_us: interval },
      verdict: isFew ? "too few" : p < SIGNIFICANCE && effect !== 0.5 ? direction : "no difference",
    },
    hops: hopsOf(columns, a, b),
    distribution: distributionOf(first, second),
  };
}

function hopsOf(columns: Columns, a: Uint32Array, b: Uint32Array): Comparison["hops"] {
  const rows = columns.hops.flatMap((times, code) => {
    const [aUs, bUs] = [meanOf(times, a), meanOf(times, b)];
    if (aUs === 0 && bUs === 0) return [];
    const [ofA, ofB] = [a, b].map((set) => Uint32Array.from(set, (i) => times[i] ?? 0).sort());
    const { p } = rankTest(ofA ?? [], ofB ?? []);
    return { hop: columns.hopNames.textOf(code), a_us: aUs, b_us: bUs, p };
  });
  const corrected = holm(rows.map(({ p }) => p));
  return rows
    .map((row, i) => ({ ...row, p: corrected[i] ?? 1 }))
    .toSorted((x, y) => Math.abs(y.b_us - y.a_us) - Math.abs(x.b_us - x.a_us));
}

/** Both distributions at the hundredths of either. */
function distributionOf(a: Float64Array, b: Float64Array): Comparison["distribution"] {
  const at = (values: Float64Array) =>
    values.length === 0
      ? []
      : Array.from({ length: POINTS }, (_, k) => values[rankOf((k + 1) / POINTS, values.length)] ?? 0);
  const durations = [...new Set([...at(a), ...at(b)])].toSorted((x, y) => x - y);
  return durations.map((us) => [us, shareAtMost(a, us), shareAtMost(b, us)]);
}

function shareAtMost(ascending: Float64Array, bound: number): number {
  if (ascending.length === 0) return 0;
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? 0) <= bound) low = middle + 1;
    else high = middle;
  }
  return low / ascending.length;
}
