/**
 * Answers of the console's queries, as JSON. The page reads nothing else, and `hover latency` reads
 * parts of it. Times of the day are milliseconds since the epoch, durations microseconds.
 *
 * Every query takes the same parameters, which are those of the page's URL too:
 *
 * - `kind`: one of `KINDS` or `all`, by default `start`.
 * - `since`: a duration back from `until` (`15m`, `1h`, `7d`) or an instant; by default `1h`.
 * - `until`: an instant; by default now.
 * - `path`, `host`, `image`, `app`, `org`, `region`, `version`, `size`, `machine`, `reason`,
 *   `hop` (the one that dominates), `queue` and `concurrency` (`0`, `1`, `2-3`, `4-7`, ...): may be
 *   given several times; a value that begins with `!` excludes.
 * - `outcome`: `ok` or `failed`; by default both.
 * - `min`, `max`: durations of operations, e.g. `20ms`.
 * - `box`: `FROM_MS,UNTIL_MS,MIN_US,MAX_US`, a part of the heat map. Panels show what is in it.
 *
 * Instants are milliseconds since the epoch or RFC 3339. Percentiles are of operations that
 * succeeded, with `outcome=failed` of those that failed: the smallest duration that so many have at
 * most. An organisation is answered about its own operations only. Errors are
 * `{error: {code, reason, message, facts, violations: [{field, description}]}}`; all wrong
 * parameters are named at once.
 */
import type { Mark, Operation } from "../lib/latency/operation.ts";

/** Attributes that operations can be filtered and grouped by. */
export const DIMENSIONS = [
  ...(["path", "host", "image", "app", "org", "region", "version", "size", "machine"] as const),
  ...(["reason", "hop", "queue", "concurrency"] as const),
];
export type Dimension = (typeof DIMENSIONS)[number];

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** `GET /api/overview`: all panels at once. */
export interface Overview {
  readonly since_ms: number;
  readonly until_ms: number;
  /** Operations that match, and how many are kept in all. */
  readonly matching: number;
  readonly kept: number;
  /** Start of the oldest one that is kept. */
  readonly oldest_ms: number;
  readonly objectives: readonly Objective[];
  readonly heat: HeatMap;
  readonly percentiles: PercentileSeries;
  readonly hops: HopShares;
  readonly mix: readonly PathShare[];
  readonly pool: Pool;
  /** Starts that waited when a start came, over time. */
  readonly queue: readonly { readonly time_ms: number; readonly mean: number; readonly max: number }[];
  readonly hosts: readonly HostRow[];
  /** Operations by how many were under way when they came, in powers of two. */
  readonly concurrency: readonly (Percentiles & { readonly concurrency: string })[];
  /** Slowest first. */
  readonly worst: readonly Row[];
  /** Latest first. */
  readonly failed: readonly Row[];
  readonly cost: Cost;
}

/** Share of operations within the target. Starts and creates have targets of their own. */
export interface Objective {
  readonly kind: string;
  readonly path: string;
  readonly target_us: number;
  /** Share that the objective asks for, 0 to 1. */
  readonly goal: number;
  readonly total: number;
  /** Those that succeeded within the target. */
  readonly within: number;
  /** Whether operations count whose traces were evicted; false when a filter is set that those counts do not know. */
  readonly is_unsampled: boolean;
  /** Part of the error budget that is left: 1 all, 0 none, negative: overdrawn. */
  readonly budget_left: number;
  /** Burn rate of the error budget. 1: it is used up exactly at the end of the period. */
  readonly burn: { readonly period: string; readonly rate: number }[];
}

/** Counts by time and duration. Rows are logarithmic. */
export interface HeatMap {
  readonly step_ms: number;
  /** Begins of the columns. */
  readonly times_ms: readonly number[];
  /** Lower edges of the rows, and the upper edge of the last. */
  readonly edges_us: readonly number[];
  /** `[column, row, path, count]` with an index into `paths`; empty cells are left out. */
  readonly cells: readonly (readonly [number, number, number, number])[];
  readonly paths: readonly string[];
  /** Failures for each column. */
  readonly failed: readonly number[];
  readonly marks: readonly Mark[];
}

export interface PercentileSeries {
  readonly step_ms: number;
  /** Exact, over what is kept. */
  readonly points: readonly (Percentiles & { readonly time_ms: number })[];
  readonly all: Percentiles;
  /** Of all that there was, before any trace was evicted; undefined when a filter is set that those counts do not know. */
  readonly unsampled?: {
    /** At least a minute. */
    readonly step_ms: number;
    readonly points: readonly (Percentiles & { readonly time_ms: number })[];
    readonly all: Percentiles;
  };
}

/** Critical path by hop. */
export interface HopShares {
  /** Mean time of each hop in operations around that percentile, in the order of a start. */
  readonly at: readonly {
    readonly percentile: "p50" | "p90" | "p99";
    readonly duration_us: number;
    readonly count: number;
    readonly hops: readonly { readonly hop: string; readonly us: number }[];
    readonly unexplained_us: number;
  }[];
  /** Largest contribution first. */
  readonly league: readonly {
    readonly hop: string;
    /** Mean per operation. */
    readonly us: number;
    /** Of the mean duration, 0 to 1. */
    readonly share: number;
    readonly p99_us: number;
    /** Change of the mean, as a share; null when there was nothing before. */
    readonly since_yesterday: number | null;
    readonly since_version: number | null;
  }[];
}

export interface PathShare extends Percentiles {
  readonly path: string;
  /** Whether operations count whose traces were evicted. Reasons are of those that are kept. */
  readonly is_unsampled: boolean;
  readonly share: number;
  readonly not_faster: readonly { readonly why: string; readonly count: number }[];
}

/** Warm pool, as starts found it. */
export interface Pool {
  readonly hits: number;
  readonly misses: number;
  readonly points: readonly {
    readonly time_ms: number;
    readonly size: number;
    readonly hits: number;
    readonly misses: number;
  }[];
  /** Time that the pool took to replace a VM that a start had taken. Microseconds. */
  readonly refill: Percentiles;
}

/** A host against all hosts. */
export interface HostRow extends Percentiles {
  readonly host: string;
  /** Robust z-score of its median: (median - median of medians) / (1.4826 * median absolute deviation). */
  readonly deviation: number;
  readonly failed: number;
  /** Mean time of each hop, and its ratio to the mean of all hosts. */
  readonly hops: readonly { readonly hop: string; readonly us: number; readonly ratio: number }[];
}

/** An operation in a list. */
export interface Row extends Operation {
  /** Hop with the largest part of the critical path. */
  readonly dominant: string;
  /** Times in which that hop took the same in the median operation. */
  readonly dominant_ratio: number;
}

/** Cost of looking. */
export interface Cost {
  /** Lost in the period. null: only operators are told, as of the disk. */
  readonly dropped_spans: number | null;
  readonly lag_ms: Percentiles;
  readonly skew_us: Percentiles;
  readonly disk_bytes: number | null;
}

/** `GET /api/points`: operations one by one, for the points of the heat map and for live tail. Newest last, at most 5,000. */
export interface Points {
  readonly points: readonly Row[];
  readonly is_whole: boolean;
}

/** `GET /api/differences`: attributes by how they differ in the box and outside of it. Most telling first. */
export interface Differences {
  readonly inside: number;
  readonly outside: number;
  readonly attributes: readonly {
    readonly dimension: Dimension;
    readonly value: string;
    readonly inside: number;
    readonly outside: number;
    readonly inside_share: number;
    readonly outside_share: number;
    /** 0 to 1: mutual information with being in the box, as a share of its entropy. */
    readonly score: number;
  }[];
}

/** `GET /api/traces/<trace id>`: the waterfall of one trace. */
export interface Waterfall {
  readonly operations: readonly Row[];
  readonly spans: readonly WaterfallSpan[];
  /** Means by hop of operations of the same kind and path: the shadow of a typical one. */
  readonly typical?: {
    readonly count: number;
    readonly duration_us: number;
    readonly hops: readonly { readonly hop: string; readonly us: number }[];
  };
  readonly machine_id: string;
}

/** Depth first. */
export interface WaterfallSpan {
  readonly span_id: string;
  readonly parent_span_id: string;
  readonly name: string;
  readonly service: string;
  readonly hop: string;
  readonly depth: number;
  /** From the start of the first operation; corrected by `skew_us`. */
  readonly offset_us: number;
  readonly duration_us: number;
  /** Its own time on the critical path. */
  readonly critical: readonly { readonly offset_us: number; readonly duration_us: number }[];
  readonly skew_us: number;
  readonly status: "unset" | "ok" | "error";
  readonly status_message: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly {
    readonly name: string;
    readonly offset_us: number;
    readonly attributes: Readonly<Record<string, unknown>>;
  }[];
  readonly links: readonly { readonly trace_id: string; readonly span_id: string }[];
  /** Mean duration of the span of this name in typical operations; null: they have none. */
  readonly typical_us: number | null;
}

/** `GET /api/compare?a=<parameters, URL-encoded>&b=...`: two sets of operations. */
export interface Comparison {
  readonly a: Percentiles;
  readonly b: Percentiles;
  readonly test: {
    /** Mann-Whitney, two-sided, with correction for ties. */
    readonly p: number;
    /** Probability that one of b is slower than one of a, ties half; 0.5: no difference. */
    readonly effect: number;
    readonly verdict: "slower" | "faster" | "no difference" | "too few";
    /** Hodges-Lehmann estimate of the shift from a to b, with its 95 % interval. */
    readonly shift_us: number;
    readonly interval_us: readonly [number, number];
  };
  readonly hops: readonly {
    readonly hop: string;
    readonly a_us: number;
    readonly b_us: number;
    readonly p: number;
  }[];
  /** Cumulative shares for drawing: `[duration_us, share of a, share of b]`. */
  readonly distribution: readonly (readonly [number, number, number])[];
}

/** `GET /api/flame`: critical paths of many operations, merged by name. d3-flame-graph's format. */
export interface Flame {
  readonly name: string;
  /** Mean microseconds per operation. */
  readonly value: number;
  readonly count: number;
  readonly children: readonly Flame[];
}

/** `GET /api/latency?by=<dimension>`: percentiles by group; largest count first. */
export interface Latency {
  readonly since_ms: number;
  readonly until_ms: number;
  readonly all: Percentiles & { readonly failed: number };
  readonly groups: readonly (Percentiles & {
    readonly value: string;
    readonly failed: number;
    readonly dominant: string;
  })[];
}

/** `GET /api/values`: values of each dimension that occur in the period, most frequent first, at most 100 of each. */
export type Values = Readonly<
  Record<Dimension, readonly { readonly value: string; readonly count: number }[]>
>;

/** `GET /api/session`: who is asking. */
export interface SessionInfo {
  readonly subject: string;
  readonly org: string;
  /** Whether operations of all organisations are shown. */
  readonly is_operator: boolean;
  readonly expires_ms: number;
}

/**
 * Others:
 *
 * - `GET /api/export?format=otlp|json|speedscope|csv`: what the parameters select, as a download;
 *   `trace=<id>` takes one trace.
 * - `GET /api/live`: server-sent events, `operation` with a `Row` for each new one that matches,
 *   `mark` with a `Mark`.
 * - `POST /api/links` with a bearer token and perhaps `{"view": "/?since=1h"}`: `{url}`, a link that
 *   opens a session once, within a minute. `GET /login?code=...` takes it: a cookie, and a redirect to
 *   the view.
 * - `POST /api/logout` ends the session.
 */
