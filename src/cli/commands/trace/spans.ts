import type { Span } from "../../../lib/latency/span.ts";

/** A trace of the query API. */
export interface Trace {
  readonly trace_id: string;
  readonly root_name: string;
  readonly has_root: boolean;
  readonly start_time: string;
  readonly duration_us: number;
  readonly dropped_spans: number;
  /** Milliseconds since its last span arrived. */
  readonly idle_ms: number;
}

/** Whether there is a root, and the parent of every span. */
export function isComplete(spans: readonly Span[]): boolean {
  const ids = new Set(spans.map((span) => span.span_id));
  const hasRoot = spans.some((span) => span.parent_span_id === undefined);
  return hasRoot && spans.every((span) => span.parent_span_id === undefined || ids.has(span.parent_span_id));
}
