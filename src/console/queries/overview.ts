import { HOP_NAMES } from "../../lib/latency/analysis/hops.ts";
import type { Mark } from "../../lib/latency/operation.ts";
import type { Cost, Overview } from "../answers/overview.ts";
import type { Columns } from "../columns/columns.ts";
import { meansOf } from "../columns/hop-means.ts";
import { keep, measured, selectRows, shortestFirst } from "../columns/select.ts";
import { countsFor } from "../counts/latency-counts.ts";
import type { Filter } from "../parameters/filter.ts";
import { percentilesAt, percentilesOfUnsorted } from "../statistics/percentiles.ts";
import { byConcurrency } from "./by-group.ts";
import { differences } from "./differences.ts";
import { heatMap } from "./heat-map.ts";
import { type Earlier, league, sharesAt } from "./hops.ts";
import { hopSumsByHost, hostRows } from "./hosts.ts";
import { pathMix } from "./mix.ts";
import { objectives } from "./objectives.ts";
import { pool } from "./pool.ts";
import type { Held, Question } from "./question.ts";
import { failures, latest, rowsOf, slowest, typicalHops } from "./rows.ts";
import { percentileSeries, queueSeries } from "./series.ts";

const DAY_MS = 86_400_000;
const LISTED = 20;
/** At most so many operations are drawn one by one. */
const MAX_POINTS = 1_500;
/** A tenth of fewer tells nothing. */
const LEAST_OPERATIONS = 20;

/** Answers all panels at once. */
export function overview(held: Held, { filter, org }: Question): Overview {
  const { columns, counts } = held;
  const ever = selectRows(columns, filter, org, { sinceMs: 0, isBoxed: false });
  const unboxed = during(columns, ever, filter);
  const rows = filter.box ? selectRows(columns, filter, org) : unboxed;
  const selected = shortestFirst(columns, rows);
  const good = measured(columns, selected, filter);
  const sums = hopSumsByHost(columns, good);
  const typical = typicalHops(columns, good);
  const known = countsFor(counts, filter, held.nowMs);
  const unsampled = known?.series(filter, org);
  return {
    since_ms: filter.sinceMs,
    until_ms: filter.untilMs,
    matching: selected.length,
    ...extent(columns, org),
    objectives: objectives(held, { filter, org }),
    heat: heatMap(columns, unboxed, filter, marksFor(held, org)),
    points: pointsOf(columns, rows),
    differences: filter.box ? differences(columns, unboxed, rows) : slowestTenth(columns, rows, good),
    percentiles: { ...percentileSeries(columns, good, filter), ...(unsampled ? { unsampled } : {}) },
    hops: {
      at: sharesAt(columns, good, orderOf),
      league: league(columns, good, earlier(columns, ever, filter), meansOf(sums, good.length)),
    },
    // As long as all is kept, what is kept is exact.
    mix: pathMix(
      columns,
      good,
      unsampled && unsampled.all.count > good.length ? known?.byPath(filter, org) : undefined,
    ),
    pool: pool(columns, rows, filter),
    queue: queueSeries(columns, rows, filter),
    hosts: hostRows(columns, selected, good, sums),
    concurrency: byConcurrency(columns, good),
    worst: rowsOf(columns, slowest(selected, LISTED), typical),
    failed: rowsOf(columns, latest(columns, failures(columns, rows), LISTED), typical),
    cost: cost(held, rows, { filter, org }),
  };
}

/** Operations one by one, when they are few enough to be drawn so. */
function pointsOf(columns: Columns, rows: Uint32Array): Overview["points"] {
  if (rows.length > MAX_POINTS) return [];
  const { startMs, startUs, durationUs, reason } = columns.numbers;
  const noReason = columns.reasons.find("") ?? -1;
  return Array.from(latest(columns, rows, MAX_POINTS).reverse(), (i) => [
    (startMs[i] ?? 0) * 1_000 + (startUs[i] ?? 0),
    durationUs[i] ?? 0,
    columns.texts.path.textOf(columns.codes.path[i]),
    reason[i] !== noReason,
    columns.ids.traceId(i),
  ]);
}

/** Compares operations above p90 with the others. @param good those that succeeded, shortest first */
function slowestTenth(columns: Columns, rows: Uint32Array, good: Uint32Array): Overview["differences"] {
  if (rows.length < LEAST_OPERATIONS) return null;
  const { durationUs } = columns.numbers;
  const { p90, max } = percentilesAt(durationUs, good);
  if (p90 === max) return null;
  const isIn = (us: number) => us >= p90 && us <= max;
  return differences(
    columns,
    rows,
    keep(rows, (i) => isIn(durationUs[i] ?? 0)),
  );
}

/** Marks of hosts that an organisation uses; for operators all. */
export function marksFor(
  { columns, marks }: Pick<Held, "columns" | "marks">,
  org: string | undefined,
): readonly Mark[] {
  if (org === undefined) return marks;
  const hosts = hostsOf(columns, org);
  return marks.filter(({ host }) => hosts.has(host));
}

/** Returns the hosts that an organisation's operations are on. */
function hostsOf({ codes, texts, numbers, length }: Columns, org: string): ReadonlySet<string> {
  const own = texts.org.find(org);
  const used = new Uint8Array(texts.host.values.length);
  for (let i = 0; i < length; i++) {
    if (codes.org[i] === own && numbers.isGone[i] === 0) used[codes.host[i] ?? 0] = 1;
  }
  return new Set(texts.host.values.filter((host, code) => used[code] === 1 && host !== ""));
}

function orderOf(hop: string): number {
  const at = HOP_NAMES.indexOf(hop);
  return at < 0 ? HOP_NAMES.length : at;
}

function cost(held: Held, selected: Uint32Array, { filter, org }: Question): Cost {
  const { lagMs, skewUs } = held.columns.numbers;
  const lost = held.losses
    .filter(({ timeMs }) => timeMs >= filter.sinceMs && timeMs < filter.untilMs)
    .reduce((sum, { spans }) => sum + spans, 0);
  return {
    dropped_spans: org === undefined ? lost : null,
    lag_ms: percentilesOfUnsorted(lagMs, selected),
    skew_us: percentilesOfUnsorted(skewUs, selected),
    disk_bytes: org === undefined ? held.diskBytes : null,
  };
}

/** How many operations the asker may see, and since when. */
function extent(columns: Columns, org: string | undefined): Pick<Overview, "kept" | "oldest_ms"> {
  const { startMs, isGone } = columns.numbers;
  const own = org === undefined ? undefined : (columns.texts.org.find(org) ?? -1);
  let [kept, oldest] = [0, Number.POSITIVE_INFINITY];
  for (let i = 0; i < columns.length; i++) {
    if (isGone[i] === 1 || (own !== undefined && columns.codes.org[i] !== own)) continue;
    kept += 1;
    oldest = Math.min(oldest, startMs[i] ?? 0);
  }
  return { kept, oldest_ms: kept === 0 ? 0 : oldest };
}

const NONE = new Uint32Array();

/** Keeps operations of a period. */
function during(
  { numbers }: Columns,
  rows: Uint32Array,
  { sinceMs, untilMs }: Pick<Filter, "sinceMs" | "untilMs">,
): Uint32Array {
  const { startMs } = numbers;
  return keep(rows, (i) => (startMs[i] ?? 0) >= sinceMs && (startMs[i] ?? 0) < untilMs);
}

/**
 * Finds what the hops are compared with: the same period a day earlier, and the version before the newest.
 *
 * @param ever what matches but for the begin of the period
 */
function earlier(columns: Columns, ever: Uint32Array, filter: Filter): Earlier {
  // What is in a box was chosen by its duration.
  if (filter.box) return { yesterday: NONE, versions: [NONE, NONE] };
  const known = measured(columns, ever, filter);
  const { sinceMs, untilMs } = filter;
  const yesterday = during(columns, known, { sinceMs: sinceMs - DAY_MS, untilMs: untilMs - DAY_MS });
  const { version } = columns.codes;
  const { startMs } = columns.numbers;
  const { values } = columns.texts.version;
  const lastMs = new Float64Array(values.length);
  for (let at = 0; at < known.length; at++) {
    const i = known[at] ?? 0;
    const code = version[i] ?? 0;
    lastMs[code] = Math.max(lastMs[code] ?? 0, startMs[i] ?? 0);
  }
  const [newest, before] = [...values.keys()]
    .filter((code) => values[code] !== "" && (lastMs[code] ?? 0) > 0)
    .toSorted((a, b) => (lastMs[b] ?? 0) - (lastMs[a] ?? 0));
  const of = (code: number | undefined) =>
    code === undefined || before === undefined ? NONE : keep(known, (i) => version[i] === code);
  return { yesterday, versions: [of(newest), of(before)] };
}
