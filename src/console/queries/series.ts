import type { Percentiles } from "../../lib/latency/answers.ts";
import type { Overview, PercentileSeries } from "../answers/overview.ts";
import type { Columns } from "../columns/columns.ts";
import { Groups } from "../columns/group.ts";
import type { Filter } from "../parameters/filter.ts";
import { percentilesAt } from "../statistics/percentiles.ts";
import { columnOf, timeOf, timeSteps } from "../statistics/time-steps.ts";

/** Exact percentiles over time. @param selected shortest first */
export function percentileSeries(
  columns: Columns,
  selected: Uint32Array,
  { sinceMs, untilMs }: Filter,
): Pick<PercentileSeries, "step_ms" | "points" | "all"> {
  const steps = timeSteps(sinceMs, untilMs);
  const { startMs, durationUs } = columns.numbers;
  const groups = new Groups(selected, steps.count, (i) => columnOf(steps, startMs[i] ?? 0));
  const points: (Percentiles & { time_ms: number })[] = [];
  for (let column = 0; column < steps.count; column++) {
    if (groups.sizeOf(column) === 0) continue;
    points.push({ time_ms: timeOf(steps, column), ...percentilesAt(durationUs, groups.of(column)) });
  }
  return { step_ms: steps.stepMs, points, all: percentilesAt(durationUs, selected) };
}

/** Mean and largest number of starts that waited, over time. */
export function queueSeries(
  columns: Columns,
  selected: Uint32Array,
  { sinceMs, untilMs }: Filter,
): Overview["queue"] {
  const steps = timeSteps(sinceMs, untilMs);
  const { startMs, queueLength } = columns.numbers;
  const sums = new Float64Array(steps.count);
  const counts = new Uint32Array(steps.count);
  const most = new Uint32Array(steps.count);
  for (let at = 0; at < selected.length; at++) {
    const i = selected[at] ?? 0;
    const column = columnOf(steps, startMs[i] ?? 0);
    const length = queueLength[i] ?? 0;
    sums[column] = (sums[column] ?? 0) + length;
    counts[column] = (counts[column] ?? 0) + 1;
    most[column] = Math.max(most[column] ?? 0, length);
  }
  return [...counts].flatMap((count, column) =>
    count === 0
      ? []
      : [{ time_ms: timeOf(steps, column), mean: (sums[column] ?? 0) / count, max: most[column] ?? 0 }],
  );
}
