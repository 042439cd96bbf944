import type { Percentiles } from "../../lib/latency/answers.ts";
import type { Mark } from "../../lib/latency/operation.ts";
import type { Differences, Row } from "./operations.ts";
import type { HopShares, HostRow, PathShare, Pool } from "./panels.ts";

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
  /** Those that match one by one, newest last, when there are at most 1,500. */
  readonly points: readonly Point[];
  /** Of the box; without one of the slowest tenth. null: those that match are too few or too much alike. */
  readonly differences: Differences | null;
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

/** An operation on the heat map. */
export type Point = readonly [
  startUs: number,
  durationUs: number,
  path: string,
  isFailed: boolean,
  traceId: string,
];

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

/** Cost of looking. */
export interface Cost {
  /** Lost in the period. null: only operators are told, as of the disk. */
  readonly dropped_spans: number | null;
  readonly lag_ms: Percentiles;
  readonly skew_us: Percentiles;
  readonly disk_bytes: number | null;
}
