import type { Mark } from "../../lib/latency/operation.ts";
import type { Loss } from "../../lib/latency/trace-reader.ts";
import type { Columns } from "../columns/columns.ts";
import type { LatencyCounts } from "../counts/latency-counts.ts";
import type { Filter } from "../parameters/filter.ts";
import type { ObjectiveTarget } from "../parameters/objectives.ts";

/** What the console has in memory. */
export interface Held {
  readonly nowMs: number;
  readonly columns: Columns;
  readonly counts: { readonly minutes: LatencyCounts; readonly hours: LatencyCounts };
  /** Oldest first. */
  readonly marks: readonly Mark[];
  readonly objectives: readonly ObjectiveTarget[];
  /** Spans that were lost, oldest first. */
  readonly losses: readonly Loss[];
  /** Of the receiver's store. */
  readonly diskBytes: number;
}

/** A query, and who asks. */
export interface Question {
  readonly filter: Filter;
  /** Whose operations are shown; undefined: all. */
  readonly org: string | undefined;
}
