/** From and to, in microseconds. */
export type Interval = readonly [from: number, to: number];

/** Merges intervals; the result is sorted, and none touch. */
export function union(intervals: readonly Interval[]): readonly Interval[] {
  const merged: [number, number][] = [];
  for (const [from, to] of intervals.toSorted((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Computes how much of `outer` merged intervals cover. */
export function overlap(merged: readonly Interval[], outer: Interval): number {
  return merged.reduce(
    (sum, [from, to]) => sum + Math.max(0, Math.min(to, outer[1]) - Math.max(from, outer[0])),
    0,
  );
}
