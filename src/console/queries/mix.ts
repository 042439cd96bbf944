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

function reasonsIn({ numbers, notFaster }: Columns, selected: Uint32Array): PathShare["not_faster"] {
  const counts = new Map<number, number>();
  for (const i of selected) {
    const code = numbers.notFaster[i] ?? 0;
    counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return [...counts]
    .map(([code, count]) => ({ why: notFaster.textOf(code), count }))
    .filter(({ why }) => why !== "")
    .toSorted((a, b) => b.count - a.count);
}
