import { placeOf, type Row } from "./analyze.ts";

export interface Folded {
  readonly depth: number;
  readonly offsetUs: number;
  readonly durationUs: number;
  readonly selfShare: number;
  readonly count: number;
  readonly names: readonly string[];
  readonly hop: string;
}

export type Line = { readonly row: Row } | { readonly folded: Folded };

/** A span shorter than this share of the root is short. */
const SHORT = 0.01;

/**
 * Folds adjacent short spans of one hop into one line: a create has a hundred SQL statements, and
 * few of them matter. Failed spans, spans with children, and those for which `keep` returns true
 * stay.
 *
 * @param rootUs the root's duration in microseconds
 */
export function fold(rows: readonly Row[], rootUs: number, keep: (row: Row) => boolean): Line[] {
  const lines: Line[] = [];
  let run: Row[] = [];
  const flush = () => {
    const [first, second] = run;
    if (first && second) lines.push({ folded: together(run, first) });
    else if (first) lines.push({ row: first });
    run = [];
  };
  for (const row of rows) {
    const isShort =
      row.isLeaf && row.span.status !== "error" && row.span.duration_us < SHORT * rootUs && !keep(row);
    const [first] = run;
    if (!isShort || (first && (first.depth !== row.depth || placeOf(first.span) !== placeOf(row.span))))
      flush();
    if (isShort) run.push(row);
    else lines.push({ row });
  }
  flush();
  return lines;
}

function together(run: readonly Row[], first: Row): Folded {
  return {
    depth: first.depth,
    offsetUs: first.offsetUs,
    durationUs: run.reduce((sum, row) => sum + row.span.duration_us, 0),
    selfShare: run.reduce((sum, row) => sum + row.selfShare, 0),
    count: run.length,
    names: [...new Set(run.map((row) => row.span.name))],
    hop: placeOf(first.span),
  };
}
