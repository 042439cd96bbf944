import type { Percentiles } from "../../lib/latency/answers.ts";
import type { PathShare } from "../answers/panels.ts";
import type { Columns } from "../columns/columns.ts";
import { Groups } from "../columns/group.ts";
import { percentilesAt } from "../statistics/percentiles.ts";

/**
 * Start paths by their share, and why no faster one was taken.
 *
 * @param selected shortest first
 * @param unsampled of all that there was, when that is known: of what is kept, slow paths have more
 */
export function pathMix(
  columns: Columns,
  selected: Uint32Array,
  unsampled?: ReadonlyMap<string, Percentiles>,
): PathShare[] {
  const { values } = columns.texts.path;
  const { path } = columns.codes;
  const groups = new Groups(selected, values.length, (i) => path[i] ?? 0);
  const kept = new Map(values.map((name, code) => [name, groups.of(code)]));
  const percentiles =
    unsampled ??
    new Map([...kept].map(([name, own]) => [name, percentilesAt(columns.numbers.durationUs, own)] as const));
  const total = [...percentiles.values()].reduce((sum, { count }) => sum + count, 0);
  return [...percentiles]
    .filter(([, { count }]) => count > 0)
    .map(([path, own]) => ({
      ...{ path, is_unsampled: unsampled !== undefined, share: own.count / total, ...own },
      not_faster: reasonsIn(columns, kept.get(path) ?? new Uint32Array()),
    }))
    .toSorted((a, b) => b.count - a.count);
}

/** Counts each reason by itself: a cold start has found neither a warm VM nor a template. */
function reasonsIn({ numbers, notFaster }: Columns, selected: Uint32Array): PathShare["not_faster"] {
  const codes = new Uint32Array(notFaster.values.length);
  for (let at = 0; at < selected.length; at++) {
    const i = selected[at] ?? 0;
    const code = numbers.notFaster[i] ?? 0;
    codes[code] = (codes[code] ?? 0) + 1;
  }
  const counts = new Map<string, number>();
  for (const [code, count] of codes.entries()) {
    if (count === 0) continue;
    for (const why of notFaster.textOf(code).split(",")) counts.set(why, (counts.get(why) ?? 0) + count);
  }
  counts.delete("");
  return [...counts].map(([why, count]) => ({ why, count })).toSorted((x, y) => y.count - x.count);
}
