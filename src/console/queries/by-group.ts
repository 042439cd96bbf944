import type { Latency } from "../../lib/latency/answers.ts";
import type { Dimension, Values } from "../answers/operations.ts";
import type { Overview } from "../answers/overview.ts";
import { compareBuckets } from "../columns/buckets.ts";
import { byDimension, type Columns } from "../columns/columns.ts";
import { Groups } from "../columns/group.ts";
import { hopSumsBy } from "../columns/hop-means.ts";
import type { Filter } from "../parameters/filter.ts";
import { percentilesAt } from "../statistics/percentiles.ts";

const MAX_VALUES = 100;
/** Groups in the answer of a query by a dimension with many values, such as machines. */
const MAX_GROUPS = 1_000;

/** Percentiles by how many operations were under way. @param selected shortest first */
export function byConcurrency(columns: Columns, selected: Uint32Array): Overview["concurrency"] {
  const { values } = columns.texts.concurrency;
  const codes = columns.codes.concurrency;
  const groups = new Groups(selected, values.length, (i) => codes[i] ?? 0);
  return values
    .map((concurrency, code) => ({
      concurrency,
      ...percentilesAt(columns.numbers.durationUs, groups.of(code)),
    }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => compareBuckets(a.concurrency, b.concurrency));
}

/**
 * Percentiles by the values of a dimension.
 *
 * @param selected with failures; shortest first
 * @param measured those that percentiles are of; shortest first
 */
export function latencyBy(
  columns: Columns,
  selected: Uint32Array,
  measured: Uint32Array,
  { sinceMs, untilMs }: Filter,
  by: Dimension | undefined,
): Latency {
  const { durationUs, reason } = columns.numbers;
  const noReason = columns.reasons.find("") ?? -1;
  const isFailed = (i: number) => reason[i] !== noReason;
  const all = {
    ...percentilesAt(durationUs, measured),
    failed: selected.reduce((sum, i) => sum + (isFailed(i) ? 1 : 0), 0),
  };
  const range = { since_ms: sinceMs, until_ms: untilMs, all };
  if (by === undefined) return { ...range, groups: [] };
  const { values } = columns.texts[by];
  const codes = columns.codes[by];
  const groups = new Groups(measured, values.length, (i) => codes[i] ?? 0);
  const failed = new Groups(selected, values.length, (i) => (isFailed(i) ? (codes[i] ?? 0) : -1));
  const found = [...values.keys()]
    .filter((code) => groups.sizeOf(code) + failed.sizeOf(code) > 0)
    .toSorted((a, b) => groups.sizeOf(b) - groups.sizeOf(a) || failed.sizeOf(b) - failed.sizeOf(a))
    .slice(0, MAX_GROUPS);
  const places = new Map(found.map((code, place) => [code, place]));
  const sums = hopSumsBy(columns, measured, found.length, (i) => places.get(codes[i] ?? 0) ?? found.length);
  return {
    ...range,
    groups: found.map((code, place) => ({
      value: values[code] ?? "",
      ...percentilesAt(durationUs, groups.of(code)),
      failed: failed.sizeOf(code),
      dominant: largestHop(columns, sums[place]),
    })),
  };
}

/** Values of all dimensions, most frequent first. */
export function valuesIn(columns: Columns, selected: Uint32Array): Values {
  return byDimension((dimension) => {
    const codes = columns.codes[dimension];
    const counts = new Uint32Array(columns.texts[dimension].values.length);
    for (const i of selected) counts[codes[i] ?? 0] = (counts[codes[i] ?? 0] ?? 0) + 1;
    return [...counts.keys()]
      .filter((code) => (counts[code] ?? 0) > 0)
      .toSorted((a, b) => (counts[b] ?? 0) - (counts[a] ?? 0))
      .slice(0, MAX_VALUES)
      .map((code) => ({ value: columns.texts[dimension].textOf(code), count: counts[code] ?? 0 }));
  });
}

function largestHop({ hopNames }: Columns, sums: Float64Array | undefined): string {
  const most = sums?.reduce((largest, us, code) => (us > (sums[largest] ?? 0) ? code : largest), 0) ?? 0;
  return (sums?.[most] ?? 0) > 0 ? hopNames.textOf(most) : "";
}
