import type { Columns } from "./columns.ts";
import { inRowOrder, keep } from "./select.ts";

/** Means of hops in microseconds, by the number of the hop. */
export function hopMeans(columns: Columns, selected: Uint32Array): Float64Array {
  const rows = inRowOrder(columns, selected);
  const kinds = kindsIn(columns, rows);
  return Float64Array.from(columns.hops, (times, code) =>
    ((columns.hopKinds[code] ?? 0) & kinds) === 0 ? 0 : meanOf(times, rows),
  );
}

/** Means of the hops that took any time. */
export function namedMeans(columns: Columns, selected: Uint32Array): { hop: string; us: number }[] {
  return [...hopMeans(columns, selected)].flatMap((us, code) =>
    us === 0 ? [] : { hop: columns.hopNames.textOf(code), us },
  );
}

/**
 * Sums of hops in microseconds, by the number of the group and of the hop. Reads each column once,
 * however many groups there are.
 *
 * @param groupOf number of an index's group; none below `count`: of no group
 */
export function hopSumsBy(
  columns: Columns,
  selected: Uint32Array,
  count: number,
  groupOf: (index: number) => number,
): Float64Array[] {
  const rows = inRowOrder(
    columns,
    keep(selected, (i) => groupOf(i) < count),
  );
  const kinds = kindsIn(columns, rows);
  const groups = new Uint32Array(rows.length);
  for (let at = 0; at < rows.length; at++) groups[at] = groupOf(rows[at] ?? 0);
  const sums = Array.from({ length: count }, () => new Float64Array(columns.hops.length));
  const sum = new Float64Array(count);
  for (const [code, times] of columns.hops.entries()) {
    if (((columns.hopKinds[code] ?? 0) & kinds) === 0) continue;
    sum.fill(0);
    for (let at = 0; at < rows.length; at++) {
      const group = groups[at] ?? 0;
      sum[group] = (sum[group] ?? 0) + (times[rows[at] ?? 0] ?? 0);
    }
    for (const [group, own] of sums.entries()) own[code] = sum[group] ?? 0;
  }
  return sums;
}

/** Means of hops of all groups together. @param sums of {@link hopSumsBy}, of so many operations */
export function meansOf(sums: readonly Float64Array[], count: number): Float64Array {
  const means = new Float64Array(sums[0]?.length ?? 0);
  for (const own of sums) for (const [code, us] of own.entries()) means[code] = (means[code] ?? 0) + us;
  return means.map((us) => us / Math.max(1, count));
}

/** Returns a bit for each kind that some of the operations have. Most hops are of one kind alone. */
function kindsIn({ numbers }: Columns, rows: Uint32Array): number {
  const { kind } = numbers;
  let kinds = 0;
  for (let at = 0; at < rows.length; at++) kinds |= 1 << (kind[rows[at] ?? 0] ?? 0);
  return kinds;
}

export function meanOf(column: ArrayLike<number>, selected: Uint32Array): number {
  let sum = 0;
  for (let at = 0; at < selected.length; at++) sum += column[selected[at] ?? 0] ?? 0;
  return selected.length === 0 ? 0 : sum / selected.length;
}
