/**
 * Answers of the console's queries, as JSON. The page reads nothing else; those that `hover latency`
 * reads too are in `src/lib/latency/answers.ts`. Times of the day are milliseconds since the epoch,
 * durations microseconds.
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
import type { Operation } from "../../lib/latency/operation.ts";

/** Attributes that operations can be filtered and grouped by. */
export const DIMENSIONS = [
  ...(["path", "host", "image", "app", "org", "region", "version", "size", "machine"] as const),
  ...(["reason", "hop", "queue", "concurrency"] as const),
];
export type Dimension = (typeof DIMENSIONS)[number];

/** An operation in a list. */
export interface Row extends Operation {
  /** Hop with the largest part of the critical path. */
  readonly dominant: string;
  /** Times in which that hop took the same in the median operation. */
  readonly dominant_ratio: number;
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

/** `GET /api/values`: values of each dimension that occur in the period, most frequent first, at most 100 of each. */
export type Values = Readonly<
  Record<Dimension, readonly { readonly value: string; readonly count: number }[]>
>;
