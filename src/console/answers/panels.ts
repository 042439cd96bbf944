import type { Percentiles } from "../../lib/latency/answers.ts";

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
