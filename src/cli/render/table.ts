import { harmless } from "../session/terminal.ts";
import { cutTo, displayWidth, fitTo } from "./text.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** Least width on a narrow screen; without it the column is never cut. */
  readonly min?: number;
  /** Which part is cut off. Default: the end. */
  readonly lose?: "end" | "start";
  /** Columns with a rank are left out when even that is too wide, the highest rank first. */
  readonly dropRank?: number;
}

const GAP = 2;

/**
 * Lays out a table: a line of titles, then a line for each row. Keeps to `width` by cutting
 * columns, then by leaving columns out.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width?: number,
): readonly string[] {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => row.map(harmless))];
  const natural = columns.map((_, i) => Math.max(...cells.map((row) => displayWidth(row[i] ?? ""))));
  const shown = width === undefined ? [...columns.keys()] : choose(columns, natural, width);
  const pick = <T>(list: readonly T[]) => shown.flatMap((i) => list[i] ?? []);
  const kept = pick(columns);
  const widths = width === undefined ? natural : squeeze(kept, pick(natural), width);
  return cells.map((row) =>
    kept
      .map(({ align = "left", lose = "end" }, i) => {
        const width = widths[i] ?? 0;
        const text = cutTo(row[shown[i] ?? 0] ?? "", width, lose);
        return i === kept.length - 1 && align === "left" ? text : fitTo(text, width, align);
      })
      .join(" ".repeat(GAP))
      .trimEnd(),
  );
}

/** Chooses the columns, by index, that fit at their least width. */
function choose(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const least = columns.map((column, i) => Math.min(column.min ?? Number.POSITIVE_INFINITY, natural[i] ?? 0));
  let shown = [...columns.keys()];
  const isTooWide = () =>
    shown.reduce((sum, i) => sum + (least[i] ?? 0), 0) + GAP * (shown.length - 1) > width;
  while (isTooWide()) {
    const ranks = shown.map((i) => columns[i]?.dropRank ?? 0);
    const highest = Math.max(...ranks);
    if (highest === 0) break;
    shown = shown.filter((i) => columns[i]?.dropRank !== highest);
  }
  return shown;
}

/** Narrows the widest column that may be cut, until all fit or none can be narrower. */
function squeeze(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, w) => sum + w, 0) + GAP * (columns.length - 1) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      const can = column.min !== undefined && (widths[i] ?? 0) > column.min;
      if (can && (widest < 0 || (widths[i] ?? 0) > (widths[widest] ?? 0))) widest = i;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}
