import type { Mark } from "../../lib/latency/operation.ts";
import type { HeatMap } from "../answers/overview.ts";
import type { Columns } from "../columns/columns.ts";
import type { Filter } from "../parameters/filter.ts";
import { columnOf, timeOf, timeSteps } from "../statistics/time-steps.ts";

const ROWS_PER_DECADE = 12;
const LEAST_US = 100;
const DECADES = 8;
/** From 0.1 ms to 10,000 s. */
const EDGES = Float64Array.from({ length: DECADES * ROWS_PER_DECADE + 1 }, (_, k) =>
  Math.round(LEAST_US * 10 ** (k / ROWS_PER_DECADE)),
);
const LAST_ROW = EDGES.length - 2;

/** Counts operations by time and duration. What failed is a band of its own. */
export function heatMap(
  columns: Columns,
  selected: Uint32Array,
  { sinceMs, untilMs }: Filter,
  marks: readonly Mark[],
): HeatMap {
  const steps = timeSteps(sinceMs, untilMs);
  const { durationUs, startMs, reason } = columns.numbers;
  const { path } = columns.codes;
  const noReason = columns.reasons.find("") ?? -1;
  const pathCount = columns.texts.path.values.length;
  const counts = new Uint32Array(steps.count * (LAST_ROW + 1) * pathCount);
  const failed = new Uint32Array(steps.count);
  let [lowest, highest] = [LAST_ROW, 0];
  for (let at = 0; at < selected.length; at++) {
    const i = selected[at] ?? 0;
    const column = columnOf(steps, startMs[i] ?? 0);
    if (reason[i] !== noReason) {
      failed[column] = (failed[column] ?? 0) + 1;
      continue;
    }
    const row = rowOf(durationUs[i] ?? 0);
    lowest = Math.min(lowest, row);
    highest = Math.max(highest, row);
    const cell = (column * (LAST_ROW + 1) + row) * pathCount + (path[i] ?? 0);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  if (lowest > highest) lowest = highest;
  const cells: HeatMap["cells"][number][] = [];
  for (let cell = 0; cell < counts.length; cell++) {
    const count = counts[cell] ?? 0;
    if (count === 0) continue;
    const [column, rest] = divide(cell, (LAST_ROW + 1) * pathCount);
    const [ownRow, ownPath] = divide(rest, pathCount);
    cells.push([column, ownRow - lowest, ownPath, count]);
  }
  return {
    step_ms: steps.stepMs,
    times_ms: Array.from({ length: steps.count }, (_, column) => timeOf(steps, column)),
    edges_us: [...EDGES.subarray(lowest, highest + 2)],
    ...withUsedPaths(cells, columns.texts.path.values),
    failed: [...failed],
    marks: marks.filter(({ timeMs }) => timeMs >= sinceMs && timeMs < untilMs),
  };
}

function rowOf(us: number): number {
  let [low, high] = [0, LAST_ROW];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (us >= (EDGES[middle] ?? 0)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Numbers the paths anew: other organisations' need not be named. */
function withUsedPaths(
  cells: readonly HeatMap["cells"][number][],
  paths: readonly string[],
): Pick<HeatMap, "cells" | "paths"> {
  const used = [...new Set(cells.map(([, , path]) => path))].toSorted((a, b) => a - b);
  const numbers = new Map(used.map((path, number) => [path, number]));
  return {
    paths: used.map((path) => paths[path] ?? ""),
    cells: cells.map(([column, row, path, count]) => [column, row, numbers.get(path) ?? 0, count]),
  };
}

function divide(value: number, by: number): [quotient: number, rest: number] {
  return [Math.floor(value / by), value % by];
}
