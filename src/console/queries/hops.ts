import type { HopShares } from "../answers/panels.ts";
import type { Columns } from "../columns/columns.ts";
import { rankOf } from "../statistics/percentiles.ts";
import { quickSelect } from "../statistics/quick-select.ts";

/** Operations around a percentile: this share of all on each side of it. */
const AROUND = 0.025;
const PERCENTILES = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
] as const;

/** Means of hops in microseconds, by the number of the hop. */
export function hopMeans({ hops }: Columns, selected: Uint32Array): Float64Array {
  const means = new Float64Array(hops.length);
  if (selected.length === 0) return means;
  for (const [code, times] of hops.entries()) {
    let sum = 0;
    for (const i of selected) sum += times[i] ?? 0;
    means[code] = sum / selected.length;
  }
  return means;
}

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

/** Ranks hops by what they contribute. */
export function league(
  columns: Columns,
  selected: Uint32Array,
  { yesterday, versions }: Earlier,
): HopShares["league"] {
  const means = hopMeans(columns, selected);
  const before = hopMeans(columns, yesterday);
  const [newest, last] = versions.map((each) => hopMeans(columns, each));
  const duration = meanOf(columns.numbers.durationUs, selected);
  const rows = [...means].flatMap((us, code) => {
    if (us === 0) return [];
    return {
      hop: columns.hopNames.textOf(code),
      us,
      share: duration === 0 ? 0 : us / duration,
      p99_us: quantileAt(columns.hops[code] ?? new Uint32Array(), selected, 0.99),
      since_yesterday: change(before[code], us),
      since_version: change(last?.[code], newest?.[code]),
    };
  });
  return rows.toSorted((a, b) => b.us - a.us);
}

/** Means of the hops that took any time. */
export function namedMeans(columns: Columns, selected: Uint32Array): { hop: string; us: number }[] {
  return [...hopMeans(columns, selected)].flatMap((us, code) =>
    us === 0 ? [] : { hop: columns.hopNames.textOf(code), us },
  );
}

export function meanOf(column: ArrayLike<number>, selected: Uint32Array): number {
  let sum = 0;
  for (const i of selected) sum += column[i] ?? 0;
  return selected.length === 0 ? 0 : sum / selected.length;
}

function change(before: number | undefined, now: number | undefined): number | null {
  return before === undefined || now === undefined || before === 0 ? null : now / before - 1;
}

/** Finds a quantile without sorting all: values of hops are in the order of durations at best. */
function quantileAt(column: Uint32Array, selected: Uint32Array, share: number): number {
  const values = new Uint32Array(selected.length);
  for (const [to, i] of selected.entries()) values[to] = column[i] ?? 0;
  return quickSelect(values, rankOf(share, values.length));
}
