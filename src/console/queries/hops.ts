import type { HopShares } from "../answers/panels.ts";
import type { Columns } from "../columns/columns.ts";
import { hopMeans, meanOf, namedMeans } from "../columns/hop-means.ts";
import { inRowOrder } from "../columns/select.ts";
import { highQuantile } from "../statistics/high-quantile.ts";
import { rankOf } from "../statistics/percentiles.ts";

/** Operations around a percentile: this share of all on each side of it. */
const AROUND = 0.025;
const PERCENTILES = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
] as const;

/** Mean critical paths of operations around the percentiles. @param selected shortest first */
export function sharesAt(
  columns: Columns,
  selected: Uint32Array,
  order: (hop: string) => number,
): HopShares["at"] {
  const { length } = selected;
  if (length === 0) return [];
  return PERCENTILES.map(([percentile, share]) => {
    const middle = rankOf(share, length);
    const reach = Math.floor(Math.min(AROUND, 1 - share) * length);
    const around = selected.subarray(Math.max(0, middle - reach), Math.min(length, middle + reach + 1));
    return {
      percentile,
      duration_us: meanOf(columns.numbers.durationUs, around),
      count: around.length,
      hops: namedMeans(columns, around).toSorted((a, b) => order(a.hop) - order(b.hop)),
      unexplained_us: meanOf(columns.numbers.unexplainedUs, around),
    };
  });
}

/** Earlier operations that hops are compared with. */
export interface Earlier {
  readonly yesterday: Uint32Array;
  /** Those of the newest version and of the one before it. */
  readonly versions: readonly [newest: Uint32Array, before: Uint32Array];
}

/** Ranks hops by what they contribute. @param means of the hops of `selected` */
export function league(
  columns: Columns,
  selected: Uint32Array,
  { yesterday, versions }: Earlier,
  means = hopMeans(columns, selected),
): HopShares["league"] {
  const own = inRowOrder(columns, selected);
  const before = hopMeans(columns, yesterday);
  const [newest, last] = versions.map((each) => hopMeans(columns, each));
  const duration = meanOf(columns.numbers.durationUs, own);
  const rows = [...means].flatMap((us, code) => {
    if (us === 0) return [];
    return {
      hop: columns.hopNames.textOf(code),
      us,
      share: duration === 0 ? 0 : us / duration,
      p99_us: highQuantile(columns.hops[code] ?? [], own, 0.99),
      since_yesterday: change(before[code], us),
      since_version: change(last?.[code], newest?.[code]),
    };
  });
  return rows.toSorted((a, b) => b.us - a.us);
}

function change(before: number | undefined, now: number | undefined): number | null {
  return before === undefined || now === undefined || before === 0 ? null : now / before - 1;
}
