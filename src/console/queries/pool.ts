import type { Pool } from "../answers/panels.ts";
import type { Columns } from "../columns/columns.ts";
import { keep } from "../columns/select.ts";
import type { Filter } from "../parameters/filter.ts";
import { percentilesOf } from "../statistics/percentiles.ts";
import { columnOf, timeOf, timeSteps } from "../statistics/time-steps.ts";

/** Start path of VMs from the pool. */
const POOLED = "warm";

/** The warm pool, as starts found it: a start says how many VMs were ready when it came. */
export function pool(columns: Columns, selected: Uint32Array, { sinceMs, untilMs }: Filter): Pool {
  const steps = timeSteps(sinceMs, untilMs);
  const { startMs, poolSize, refillMs, notFaster } = columns.numbers;
  const sums = new Float64Array(steps.count);
  const said = new Uint32Array(steps.count);
  const hits = new Uint32Array(steps.count);
  const misses = new Uint32Array(steps.count);
  const { path } = columns.codes;
  const pooled = columns.texts.path.find(POOLED);
  const isMiss = missesOf(columns);
  for (let at = 0; at < selected.length; at++) {
    const i = selected[at] ?? 0;
    const column = columnOf(steps, startMs[i] ?? 0);
    if (path[i] === pooled) hits[column] = (hits[column] ?? 0) + 1;
    else if (isMiss[notFaster[i] ?? 0] === 1) misses[column] = (misses[column] ?? 0) + 1;
    const size = poolSize[i] ?? -1;
    if (size < 0) continue;
    sums[column] = (sums[column] ?? 0) + size;
    said[column] = (said[column] ?? 0) + 1;
  }
  const points = Array.from({ length: steps.count }, (_, column) => ({
    time_ms: timeOf(steps, column),
    size: (said[column] ?? 0) === 0 ? 0 : (sums[column] ?? 0) / (said[column] ?? 1),
    hits: hits[column] ?? 0,
    misses: misses[column] ?? 0,
  }));
  const refilled = keep(selected, (i) => (refillMs[i] ?? -1) >= 0);
  const refills = Float64Array.from(refilled, (i) => 1_000 * (refillMs[i] ?? 0)).sort();
  return {
    hits: points.reduce((sum, point) => sum + point.hits, 0),
    misses: points.reduce((sum, point) => sum + point.misses, 0),
    points: points.filter((point, column) => point.hits + point.misses + (said[column] ?? 0) > 0),
    refill: percentilesOf(refills.length, (rank) => refills[rank] ?? 0),
  };
}

/**
 * Returns 1 for the numbers of reasons with which a start missed the pool: others, such as resumes,
 * did not look there.
 */
function missesOf({ notFaster }: Columns): Uint8Array {
  const isMiss = (why: string) => why.split(",").some((each) => each.startsWith("pool_"));
  return Uint8Array.from(notFaster.values, (why) => (isMiss(why) ? 1 : 0));
}
