import { type Interval, overlap, union } from "./intervals.ts";
import { parentIn, type TraceSpan } from "./spans.ts";

/** A span in the tree, with its cost. Times are in microseconds, from the start of the root. */
export interface Row {
  readonly span: TraceSpan;
  readonly depth: number;
  readonly offsetUs: number;
  /** Time in which no span below it ran. */
  readonly selfUs: number;
  /** `selfUs` as a share of the root's duration, 0 to 1. */
  readonly selfShare: number;
  readonly isLeaf: boolean;
  /** Its parent has not arrived, and it is not the root. */
  readonly detached: boolean;
}

/** A hop, with the part of the root's time that was spent in it and in no span below. */
export interface Hop {
  readonly name: string;
  readonly selfUs: number;
  readonly share: number;
}

/** The tree of a trace, and where its time went. */
export interface Analysis {
  readonly root: TraceSpan;
  /** Depth first, siblings by start. The root is the first. */
  readonly rows: readonly Row[];
  /** Largest share first. The sum may be above 1: parallel work counts each time. */
  readonly hops: readonly Hop[];
  /** The share of the root's time, 0 to 1, in which at least one span below it ran. */
  readonly coverage: number;
}

/** Arranges the spans of one trace, in any order, complete or not. Undefined without spans. */
export function analyze(spans: readonly TraceSpan[]): Analysis | undefined {
  const root = rootOf(spans);
  if (!root) return undefined;
  const placed = arrange(spans, root);
  const busy = busyBelow(placed);
  const rows = placed.map(({ span, depth, detached }, i): Row => {
    const selfUs = span.duration_us - overlap(busy[i] ?? [], intervalOf(span));
    return {
      span,
      depth,
      offsetUs: span.start_us - root.start_us,
      selfUs,
      selfShare: ratio(selfUs, root),
      isLeaf: (placed[i + 1]?.depth ?? 0) <= depth,
      detached,
    };
  });
  return {
    root,
    rows,
    hops: hopsOf(rows, root),
    coverage: ratio(overlap(busy[0] ?? [], intervalOf(root)), root),
  };
}

/** Names the part of the system that a span's own time belongs to: its service, or the guest. */
export function hopOf(span: TraceSpan): string {
  return /(?:^|\.)guest\b/.test(span.name) ? "guest" : span.service;
}

interface Placed {
  readonly span: TraceSpan;
  readonly depth: number;
  readonly detached: boolean;
}

/** Arranges spans depth first from the root, then from those whose parents are missing. */
function arrange(spans: readonly TraceSpan[], root: TraceSpan): Placed[] {
  const ids = new Set(spans.map((span) => span.span_id));
  const sorted = byStart(spans);
  const children = Map.groupBy(sorted, (span) => parentIn(span, ids) ?? "");
  const placed: Placed[] = [];
  const seen = new Set<string>();
  const place = (top: TraceSpan, detached: boolean) => {
    // No recursion: a trace may be thousands of spans deep.
    const stack = [{ span: top, depth: 0 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { span, depth } = next;
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      placed.push({ span, depth, detached });
      const below = children.get(span.span_id) ?? [];
      for (const child of below.toReversed()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  place(root, false);
  for (const span of sorted) if (parentIn(span, ids) === undefined) place(span, true);
  // What is left are cycles.
  for (const span of sorted) place(span, true);
  return placed;
}

/**
 * Computes for each span when any span below it ran. Not only its children: a grandchild may run
 * after the child has ended, and that is not the span's own time either.
 */
function busyBelow(placed: readonly Placed[]): (readonly Interval[])[] {
  const busy: (readonly Interval[])[] = [];
  // Backwards, so that what is below a span is known when the span is reached.
  const open: { depth: number; intervals: readonly Interval[] }[] = [];
  for (let i = placed.length - 1; i >= 0; i--) {
    const { span, depth } = placed[i] ?? { span: undefined, depth: 0 };
    if (!span) continue;
    const below: Interval[] = [];
    while ((open.at(-1)?.depth ?? 0) > depth) below.push(...(open.pop()?.intervals ?? []));
    busy[i] = union(below);
    open.push({ depth, intervals: union([...below, intervalOf(span)]) });
  }
  return busy;
}

function rootOf(spans: readonly TraceSpan[]): TraceSpan | undefined {
  const ids = new Set(spans.map((span) => span.span_id));
  const sorted = byStart(spans);
  return (
    sorted.find((span) => span.parent_span_id === undefined) ??
    sorted.find((span) => parentIn(span, ids) === undefined) ??
    sorted[0]
  );
}

function hopsOf(rows: readonly Row[], root: TraceSpan): Hop[] {
  const sums = new Map<string, number>();
  for (const { span, selfUs, detached } of rows) {
    // Nobody waits for what runs after the root has ended.
    const within = Math.min(selfUs, overlap([intervalOf(span)], intervalOf(root)));
    if (!detached && within > 0) sums.set(hopOf(span), (sums.get(hopOf(span)) ?? 0) + within);
  }
  return [...sums]
    .map(([name, selfUs]) => ({ name, selfUs, share: ratio(selfUs, root) }))
    .sort((a, b) => b.selfUs - a.selfUs);
}

function ratio(us: number, root: TraceSpan): number {
  return root.duration_us === 0 ? 0 : us / root.duration_us;
}

function intervalOf(span: TraceSpan): Interval {
  return [span.start_us, span.start_us + span.duration_us];
}

function byStart(spans: readonly TraceSpan[]): TraceSpan[] {
  return spans.toSorted(
    (a, b) => a.start_us - b.start_us || b.duration_us - a.duration_us || a.span_id.localeCompare(b.span_id),
  );
}
