/** A span of the receiver's query API. */
export interface TraceSpan {
  readonly span_id: string;
  readonly parent_span_id?: string;
  readonly name: string;
  readonly service: string;
  readonly kind: string;
  /** Microseconds since the epoch. */
  readonly start_us: number;
  readonly duration_us: number;
  readonly status: string;
  readonly status_message?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

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

/** Returns the id of the parent, when that is part of the trace. */
export function parentIn(span: TraceSpan, ids: ReadonlySet<string>): string | undefined {
  const parent = span.parent_span_id;
  return parent !== undefined && parent !== span.span_id && ids.has(parent) ? parent : undefined;
}

/** Whether there is a root, and the parent of every span. */
export function isComplete(spans: readonly TraceSpan[]): boolean {
  const ids = new Set(spans.map((span) => span.span_id));
  const hasRoot = spans.some((span) => span.parent_span_id === undefined);
  return hasRoot && spans.every((span) => span.parent_span_id === undefined || ids.has(span.parent_span_id));
}
