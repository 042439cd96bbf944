import { KINDS } from "../../lib/latency/operation.ts";
import type { Objective } from "../answers.ts";
import { select } from "../columns/select.ts";
import { countsFor } from "../counts/latency-counts.ts";
import type { Filter } from "../parameters/filter.ts";
import type { Held, Question } from "./question.ts";

/** Periods over which it is said how fast the error budget is used up. */
const BURN_PERIODS = [
  { period: "1h", ms: 3_600_000 },
  { period: "6h", ms: 6 * 3_600_000 },
] as const;

/** Operations, and those that succeeded within the target. */
interface Tally {
  total: number;
  within: number;
}

/**
 * Shows how operations keep to their objectives, each kind by its own. Of a filter, kind, outcome,
 * durations and box do not count: an objective is about all operations.
 */
export function objectives(held: Held, { filter, org }: Question): Objective[] {
  const { columns } = held;
  const whole = { ...filter, kind: undefined, outcome: undefined, minUs: 0 };
  const all: Filter = { ...whole, maxUs: Number.POSITIVE_INFINITY, box: undefined };
  const paths = filter.words.get("path");
  const asked = held.objectives.filter(({ path }) => {
    if (path === "" || !paths) return true;
    return (paths.included.size === 0 || paths.included.has(path)) && !paths.excluded.has(path);
  });
  const sinceMs = Math.min(all.sinceMs, ...BURN_PERIODS.map(({ ms }) => all.untilMs - ms));
  const counts = countsFor(held.counts, { ...all, sinceMs }, held.nowMs);
  // A step in which a period begins counts whole.
  const stepMs = counts?.stepMs ?? 1;
  const windows = [all.sinceMs, ...BURN_PERIODS.map(({ ms }) => all.untilMs - ms)].map((fromMs) => ({
    sinceMs: Math.floor(fromMs / stepMs) * stepMs,
    untilMs: all.untilMs,
  }));
  const tallies = asked.map(() => windows.map((): Tally => ({ total: 0, within: 0 })));
  const add = (
    kind: string,
    path: string,
    ms: number,
    count: number,
    within: (targetUs: number) => number,
  ) => {
    for (const [at, target] of asked.entries()) {
      if (target.kind !== kind || (target.path !== "" && target.path !== path)) continue;
      const ok = within(target.targetUs);
      for (const [of, { sinceMs, untilMs }] of windows.entries()) {
        const tally = tallies[at]?.[of];
        if (!tally || ms < sinceMs || ms >= untilMs) continue;
        tally.total += count;
        tally.within += ok;
      }
    }
  };
  if (counts) {
    for (const row of counts.select({ ...all, sinceMs }, org)) {
      add(row.kind, row.path, row.timeMs, row.count, (us) => (row.failed ? 0 : row.countAtMost(us)));
    }
  } else {
    const { durationUs, kind, startMs, reason } = columns.numbers;
    const noReason = columns.reasons.find("") ?? -1;
    for (const i of select(columns, all, org, { sinceMs })) {
      const path = columns.texts.path.textOf(columns.codes.path[i]);
      const isOk = reason[i] === noReason;
      const us = durationUs[i] ?? 0;
      add(KINDS[kind[i] ?? 0] ?? "start", path, startMs[i] ?? 0, 1, (most) => (isOk && us <= most ? 1 : 0));
    }
  }
  return asked.map((target, at): Objective => {
    const [period = { total: 0, within: 0 }, ...burns] = tallies[at] ?? [];
    return {
      ...{ kind: target.kind, path: target.path, target_us: target.targetUs, goal: target.goal },
      ...{ total: period.total, within: period.within, is_unsampled: counts !== undefined },
      budget_left: 1 - spent(period, target.goal),
      burn: BURN_PERIODS.map(({ period: name }, i) => ({
        period: name,
        rate: spent(burns[i] ?? { total: 0, within: 0 }, target.goal),
      })),
    };
  });
}

/** Share of the error budget that was used up, of a period's operations. */
function spent({ total, within }: Tally, goal: number): number {
  if (total === 0) return 0;
  const missed = (total - within) / total;
  return missed === 0 ? 0 : missed / Math.max(1 - goal, Number.EPSILON);
}
