import { count, duration } from "../format/format.ts";
import { clock, period } from "../format/time.ts";
import { pathLabel } from "../parts/colors.ts";
import type { Box } from "../state/view.ts";
import type { Cell, Geometry } from "./geometry.ts";

interface CellText {
  readonly when: string;
  readonly what: string;
  readonly counts: readonly { readonly path: string; readonly count: number }[];
  readonly total: number;
}

/** Says what is in a cell. */
export function describeCell(geometry: Geometry, cell: Cell): CellText {
  const { heat } = geometry;
  const from = heat.times_ms[cell.column] ?? 0;
  const when = `${clock(from, heat.step_ms)} to ${clock(from + heat.step_ms, heat.step_ms)}`;
  if (cell.row < 0) {
    return { when, what: "failed", counts: [], total: heat.failed[cell.column] ?? 0 };
  }
  const [low, high] = [heat.edges_us[cell.row] ?? 0, heat.edges_us[cell.row + 1] ?? 0];
  const counts = heat.cells
    .filter(([column, row]) => column === cell.column && row === cell.row)
    .map(([, , path, number]) => ({ path: pathLabel(heat.paths[path] ?? ""), count: number }))
    .sort((a, b) => b.count - a.count);
  return {
    when,
    what: `${duration(low)} to ${duration(high)}`,
    counts,
    total: counts.reduce((sum, each) => sum + each.count, 0),
  };
}

/** Says the same in one line, for screen readers. */
export function readCell(geometry: Geometry, cell: Cell, noun: string): string {
  const { when, what, counts, total } = describeCell(geometry, cell);
  const parts = counts.map((each) => `${count(each.count)} ${each.path}`).join(", ");
  return `${when}, ${what}: ${count(total)} ${noun}s${parts === "" ? "" : ` (${parts})`}`;
}

export function describeBox(box: Box): string {
  return `${period(box.fromMs, box.untilMs)}, ${duration(box.minUs)} to ${duration(box.maxUs)}`;
}
