import type { Cell, Geometry } from "./geometry.ts";

/** A part of the heat map that is being chosen: from where it began to where it is now. */
export interface Selection {
  readonly anchor: Cell;
  readonly cursor: Cell;
}

/** Returns the selection after a key, or undefined when the key does not move it. */
export function moved(
  geometry: Geometry,
  selection: Selection,
  key: string,
  isExtending: boolean,
): Selection | undefined {
  const step = STEPS[key];
  if (!step) return undefined;
  const { cursor, anchor } = selection;
  const next = {
    column: bounded(cursor.column + step[0] * (step[2] ?? 1), 0, geometry.columns - 1),
    row: bounded(cursor.row + step[1], -1, geometry.rows - 1),
  };
  return { cursor: next, anchor: isExtending ? anchor : next };
}

export function isOneCell({ anchor, cursor }: Selection): boolean {
  return anchor.column === cursor.column && anchor.row === cursor.row;
}

/** Returns the cell with most operations, where the keyboard begins. */
export function densest(geometry: Geometry): Cell {
  let best = { column: geometry.columns - 1, row: 0 };
  let most = 0;
  for (const [column, row, , count] of geometry.heat.cells) {
    if (count > most) [most, best] = [count, { column, row }];
  }
  return best;
}

/** Columns, rows, and how many of them. */
const STEPS: Readonly<Record<string, readonly [number, number, number?]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
  PageUp: [0, 5],
  PageDown: [0, -5],
  Home: [-1, 0, 10_000],
  End: [1, 0, 10_000],
};

function bounded(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
