import { KINDS } from "../../lib/latency/operation.ts";
import type { Objective } from "../answers/overview.ts";
import type { Columns } from "../columns/columns.ts";
import { selectRows } from "../columns/select.ts";
import { countsFor } from "../counts/latency-counts.ts";
import type { Filter } from "../parameters/filter.ts";
import type { ObjectiveTarget } from "../parameters/objectives.ts";
import type { Held, Question } from "./question.ts";

/** Periods over which it is said how fast the error budget is used up. */
const BURN_PERIODS = [
  { period: "1h", ms: 3_600_000 },
  { period: "6h", ms: 6 * 3_600_000 },
] as const;

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
  const starts = [all.sinceMs, ...BURN_PERIODS.map(({ ms }) => all.untilMs - ms)];
  const tallies = new Tallies(
    asked,
    starts.map((fromMs) => Math.floor(fromMs / stepMs) * stepMs),
  );
  if (counts) {
    for (const row of counts.select({ ...all, sinceMs }, org)) {
      const within = (us: number) => (row.failed ? 0 : row.countAtMost(us));
      tallies.add(tallies.targetsOf(row.kind, row.path), row.timeMs, row.count, within);
    }
  } else tallyKept(tallies, columns, selectRows(columns, all, org, { sinceMs }));
  return asked.map((target, at): Objective => {
    const { total, within } = tallies.of(at, 0);
    return {
      ...{ kind: target.kind, path: target.path, target_us: target.targetUs, goal: target.goal },
      ...{ total, within, is_unsampled: counts !== undefined },
      budget_left: 1 - spent({ total, within }, target.goal),
      burn: BURN_PERIODS.map(({ period }, i) => ({
        period,
        rate: spent(tallies.of(at, i + 1), target.goal),
      })),
    };
  });
}

/** Counts what is in memory. */
function tallyKept(
  tallies: Tallies,
  { numbers, codes, texts, reasons }: Columns,
  selected: Uint32Array,
): void {
  const { durationUs, kind, startMs, reason } = numbers;
  const noReason = reasons.find("") ?? -1;
  const paths = texts.path.values;
  const targets = KINDS.flatMap((name) => paths.map((path) => tallies.targetsOf(name, path)));
  let us = 0;
  let isOk = false;
  const within = (targetUs: number) => (isOk && us <= targetUs ? 1 : 0);
  for (let at = 0; at < selected.length; at++) {
    const i = selected[at] ?? 0;
    us = durationUs[i] ?? 0;
    isOk = reason[i] === noReason;
    const own = targets[(kind[i] ?? 0) * paths.length + (codes.path[i] ?? 0)] ?? [];
    tallies.add(own, startMs[i] ?? 0, 1, within);
  }
}

/** Operations, and those that succeeded within the target. */
interface Tally {
  readonly total: number;
  readonly within: number;
}

/** Tallies by objective and period. All periods end together. */
class Tallies {
  readonly #targets: readonly ObjectiveTarget[];
  readonly #sinceMs: readonly number[];
  readonly #totals: Float64Array;
  readonly #within: Float64Array;

  constructor(targets: readonly ObjectiveTarget[], sinceMs: readonly number[]) {
    this.#targets = targets;
    this.#sinceMs = sinceMs;
    this.#totals = new Float64Array(targets.length * sinceMs.length);
    this.#within = new Float64Array(this.#totals.length);
  }

  /** Returns the objectives that operations count for, by their number. */
  targetsOf(kind: string, path: string): readonly number[] {
    const isFor = (target: ObjectiveTarget) =>
      target.kind === kind && (target.path === "" || target.path === path);
    return this.#targets.flatMap((target, at) => (isFor(target) ? at : []));
  }

  /** @param within how many of them succeeded within so many microseconds */
  add(targets: readonly number[], ms: number, count: number, within: (targetUs: number) => number): void {
    for (const at of targets) {
      const ok = within(this.#targets[at]?.targetUs ?? 0);
      for (let period = 0; period < this.#sinceMs.length; period++) {
        if (ms < (this.#sinceMs[period] ?? 0)) continue;
        const cell = at * this.#sinceMs.length + period;
        this.#totals[cell] = (this.#totals[cell] ?? 0) + count;
        this.#within[cell] = (this.#within[cell] ?? 0) + ok;
      }
    }
  }

  of(target: number, period: number): Tally {
    const cell = target * this.#sinceMs.length + period;
    return { total: this.#totals[cell] ?? 0, within: this.#within[cell] ?? 0 };
  }
}

/** Share of the error budget that was used up, of a period's operations. */
function spent({ total, within }: Tally, goal: number): number {
  if (total === 0) return 0;
  const missed = (total - within) / total;
  return missed === 0 ? 0 : missed / Math.max(1 - goal, Number.EPSILON);
}
