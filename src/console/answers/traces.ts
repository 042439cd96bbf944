import type { Row } from "./operations.ts";

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

/** `GET /api/flame`: critical paths of many operations, merged by name. d3-flame-graph's format. */
export interface Flame {
  readonly name: string;
  /** Mean microseconds per operation. */
  readonly value: number;
  readonly count: number;
  readonly children: readonly Flame[];
}
