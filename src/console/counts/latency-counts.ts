import type { Percentiles } from "../../lib/latency/answers.ts";
import type { LatencyRow as StoredRow } from "../../lib/latency/trace-reader.ts";
import type { PercentileSeries } from "../answers/overview.ts";
import type { Filter } from "../parameters/filter.ts";
import { percentilesOf } from "../statistics/percentiles.ts";
import { columnOf, timeOf, timeSteps } from "../statistics/time-steps.ts";
import { decodeRow, type LatencyRow, valueOfSlot } from "./latency-row.ts";

/** A row that was selected. */
export interface CountedRow extends LatencyRow {
  countAtMost(us: number): number;
}

/** Rows in memory. An organisation that has most of them loses its own oldest. */
const MAX_ROWS = 60_000;

/** Counts of all operations that there were, also of those whose traces were evicted, by equal steps of time. */
export class LatencyCounts {
  readonly stepMs: number;
  /** By organisation and key of the row, oldest first. */
  readonly #orgs = new Map<string, Map<string, CountedRow>>();
  #size = 0;

  constructor(stepMs: number) {
    this.stepMs = stepMs;
  }

  /** Adds rows, or replaces those of the same time, organisation, kind, path and outcome. */
  put(rows: readonly StoredRow[]): void {
    for (const stored of rows) {
      const { timeMs, org, kind, path, failed, count, maxUs } = stored;
      const own = this.#orgs.get(org) ?? new Map<string, CountedRow>();
      this.#orgs.set(org, own);
      const key = `${timeMs} ${kind} ${path} ${failed}`;
      const known = own.get(key);
      // Decoding costs more than all else here.
      if (known?.count === count && known.maxUs === maxUs) continue;
      if (!known) this.#size += 1;
      const row = decodeRow(stored);
      own.set(key, { ...row, countAtMost: (us) => countAtMost(row, us) });
      if (this.#size > MAX_ROWS) this.#makeRoom();
    }
  }

  /** Whether these counts can tell what a filter asks. */
  knows({ words, minUs, maxUs, box }: Filter): boolean {
    const isKnown = [...words.keys()].every((name) => name === "path" || name === "org");
    return isKnown && minUs === 0 && maxUs === Number.POSITIVE_INFINITY && !box && this.#size > 0;
  }

  *select(filter: Filter, only: string | undefined): Generator<CountedRow> {
    const { kind, words, outcome, sinceMs, untilMs } = filter;
    const passes = (name: "path" | "org", value: string) => {
      const asked = words.get(name);
      return (
        !asked || ((asked.included.size === 0 || asked.included.has(value)) && !asked.excluded.has(value))
      );
    };
    // The step in which the period begins counts whole.
    const fromMs = Math.floor(sinceMs / this.stepMs) * this.stepMs;
    for (const [org, rows] of this.#orgs) {
      if ((only !== undefined && org !== only) || !passes("org", org)) continue;
      for (const row of rows.values()) {
        if (row.timeMs < fromMs || row.timeMs >= untilMs) continue;
        if (kind !== undefined && row.kind !== kind) continue;
        if (outcome !== undefined && (outcome === "failed") !== row.failed) continue;
        if (passes("path", row.path)) yield row;
      }
    }
  }

  /** Percentiles over time of what a filter selects. */
  series(filter: Filter, org: string | undefined): NonNullable<PercentileSeries["unsampled"]> {
    const steps = timeSteps(filter.sinceMs, filter.untilMs, this.stepMs);
    const columns = new Map<number, CountedRow[]>();
    const all: CountedRow[] = [];
    for (const row of this.select({ ...filter, outcome: filter.outcome ?? "ok" }, org)) {
      const column = Math.max(0, columnOf(steps, row.timeMs));
      columns.set(column, columns.get(column) ?? []);
      columns.get(column)?.push(row);
      all.push(row);
    }
    const points = [...columns]
      .toSorted(([a], [b]) => a - b)
      .map(([column, rows]) => ({ time_ms: timeOf(steps, column), ...merged(rows) }));
    return { step_ms: steps.stepMs, points, all: merged(all) };
  }

  /** Percentiles by start path of what a filter selects. */
  byPath(filter: Filter, org: string | undefined): ReadonlyMap<string, Percentiles> {
    const rows = [...this.select({ ...filter, outcome: filter.outcome ?? "ok" }, org)];
    return new Map([...Map.groupBy(rows, ({ path }) => path)].map(([path, own]) => [path, merged(own)]));
  }

  #makeRoom(): void {
    const [largest] = [...this.#orgs.values()].toSorted((a, b) => b.size - a.size);
    for (const key of [...(largest?.keys() ?? [])].slice(0, MAX_ROWS / 20)) {
      largest?.delete(key);
      this.#size -= 1;
    }
  }
}

/** Counts by the minute reach back this far; older ones are by the hour. */
export const MINUTES_SINCE_MS = 25 * 3_600_000;

/** Chooses the counts that can tell what a filter asks, the finest; undefined when none can. */
export function countsFor(
  { minutes, hours }: { readonly minutes: LatencyCounts; readonly hours: LatencyCounts },
  filter: Filter,
  nowMs: number,
): LatencyCounts | undefined {
  const counts = filter.sinceMs >= nowMs - MINUTES_SINCE_MS ? minutes : hours;
  return counts.knows(filter) ? counts : undefined;
}

/** Percentiles of several rows together. */
function merged(rows: readonly LatencyRow[]): Percentiles {
  const last = rows.reduce((most, { slots }) => Math.max(most, slots.at(-1) ?? 0), 0);
  const sums = new Float64Array(last + 1);
  let [total, maxUs] = [0, 0];
  for (const { slots, counts, maxUs: own } of rows) {
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i] ?? 0;
      const count = counts[i] ?? 0;
      sums[slot] = (sums[slot] ?? 0) + count;
      total += count;
    }
    maxUs = Math.max(maxUs, own);
  }
  let slot = 0;
  let below = sums[0] ?? 0;
  // Asked for in ascending order.
  const percentiles = percentilesOf(total, (rank) => {
    while (rank >= below && slot < last) below += sums[++slot] ?? 0;
    return Math.min(valueOfSlot(slot), maxUs);
  });
  return { ...percentiles, max: maxUs };
}

function countAtMost({ slots, counts, maxUs }: LatencyRow, bound: number): number {
  let count = 0;
  for (let i = 0; i < slots.length; i++) {
    if (Math.min(valueOfSlot(slots[i] ?? 0), maxUs) > bound) break;
    count += counts[i] ?? 0;
  }
  return count;
}
