/** A span as the receiver's query API answers it; what this program looks at. */
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

/** A trace as the query API answers it. */
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

/** The id of the span above, when it is part of the trace. */
export function parentIn(span: TraceSpan, ids: ReadonlySet<string>): string | undefined {
  const parent = span.parent_span_id;
  return parent !== undefined && parent !== span.span_id && ids.has(parent) ? parent : undefined;
}

/** Whether nothing is known to be missing: there is a root, and every span's parent is there. */
export function isComplete(spans: readonly TraceSpan[]): boolean {
  const ids = new Set(spans.map((span) => span.span_id));
  const hasRoot = spans.some((span) => span.parent_span_id === undefined);
  return hasRoot && spans.every((span) => span.parent_span_id === undefined || ids.has(span.parent_span_id));
}
