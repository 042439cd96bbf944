import type { PathShare } from "../answers.ts";
import type { Columns } from "../columns/columns.ts";
import { Groups } from "../columns/group.ts";
import { percentilesAt } from "../statistics/percentiles.ts";

/** Start paths by their share, and why no faster one was taken. @param selected shortest first */
export function pathMix(columns: Columns, selected: Uint32Array): PathShare[] {
  const { values } = columns.texts.path;
  const { path } = columns.codes;
  const groups = new Groups(selected, values.length, (i) => path[i] ?? 0);
  const rows = values.flatMap((name, code): PathShare[] => {
    const own = groups.of(code);
    if (own.length === 0) return [];
    return [
      {
        path: name,
        share: own.length / selected.length,
        ...percentilesAt(columns.numbers.durationUs, own),
        not_faster: reasonsIn(columns, own),
      },
    ];
  });
  return rows.toSorted((a, b) => b.count - a.count);
}

/** Counts each reason by itself: a cold start has found neither a warm VM nor a template. */
function reasonsIn({ numbers, notFaster }: Columns, selected: Uint32Array): PathShare["not_faster"] {
  const codes = new Uint32Array(notFaster.values.length);
  for (const i of selected) {
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
