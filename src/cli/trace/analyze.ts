import { parentIn, type TraceSpan } from "./spans.ts";

/** A span in its place in the tree, with what it cost. Times are in microseconds, from the start of the root. */
export interface Row {
  readonly span: TraceSpan;
  readonly depth: number;
  readonly offsetUs: number;
  /** Time in which none of its children ran. */
  readonly selfUs: number;
  /** `selfUs` as a share of the root's duration, 0 to 1. */
  readonly selfShare: number;
  /** It belongs to no span that has arrived, though it is not the root. */
  readonly detached: boolean;
}

/** A hop and how much of the root's time was spent in it and nowhere below. */
export interface Hop {
  readonly name: string;
  readonly selfUs: number;
  readonly share: number;
}

/** What a trace says about where the time went. */
export interface Analysis {
  readonly root: TraceSpan;
  /** Depth first, siblings by start. The root is the first. */
  readonly rows: readonly Row[];
  /** Largest share first. Work that ran in parallel counts each time, so the sum may be above 1. */
  readonly hops: readonly Hop[];
  /** The share of the root's time, 0 to 1, in which at least one span below it ran: how much is accounted for. */
  readonly coverage: number;
}

/** Arranges the spans of one trace, in any order, complete or not. Undefined without spans. */
export function analyze(spans: readonly TraceSpan[]): Analysis | undefined {
  const root = rootOf(spans);
  if (!root) return undefined;
  const children = childrenOf(spans);
  const rows: Row[] = [];
  const seen = new Set<string>();
  const place = (top: TraceSpan, detached: boolean) => {
    // By hand instead of by recursion: a trace may be thousands of spans deep.
    const stack = [{ span: top, depth: 0 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { span, depth } = next;
      if (seen.has(span.span_id)) continue;
      seen.add(span.span_id);
      const below = children.get(span.span_id) ?? [];
      rows.push(toRow(span, below, depth, root, detached));
      for (const child of below.toReversed()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  place(root, false);
  const belowRoot = rows.slice(1).map((row) => row.span);
  const ids = new Set(spans.map((span) => span.span_id));
  for (const span of byStart(spans)) if (parentIn(span, ids) === undefined) place(span, true);
  // What is left are circles, which no sane sender makes; shown all the same.
  for (const span of byStart(spans)) place(span, true);
  return {
    root,
    rows,
    hops: hopsOf(rows, root),
    coverage: root.duration_us === 0 ? 0 : covered(belowRoot, root) / root.duration_us,
  };
}

/** The part of the system a span's own time is booked to: its service, and the guest apart from its host. */
export function hopOf(span: TraceSpan): string {
  return /(?:^|\.)guest\b/.test(span.name) ? "guest" : span.service;
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

function childrenOf(spans: readonly TraceSpan[]): Map<string, TraceSpan[]> {
  const ids = new Set(spans.map((span) => span.span_id));
  const children = new Map<string, TraceSpan[]>();
  for (const span of byStart(spans)) {
    const parent = parentIn(span, ids);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  return children;
}

function toRow(
  span: TraceSpan,
  children: readonly TraceSpan[],
  depth: number,
  root: TraceSpan,
  detached: boolean,
): Row {
  const selfUs = span.duration_us - covered(children, span);
  return {
    span,
    depth,
    offsetUs: span.start_us - root.start_us,
    selfUs,
    selfShare: root.duration_us === 0 ? 0 : selfUs / root.duration_us,
    detached,
  };
}

function hopsOf(rows: readonly Row[], root: TraceSpan): Hop[] {
  const sums = new Map<string, number>();
  for (const { span, selfUs, detached } of rows) {
    // What goes on after the root has ended has cost nobody any waiting.
    const within = span === root ? selfUs : Math.min(selfUs, covered([span], root));
    if (!detached && within > 0) sums.set(hopOf(span), (sums.get(hopOf(span)) ?? 0) + within);
  }
  return [...sums]
    .map(([name, selfUs]) => ({
      name,
      selfUs,
      share: root.duration_us === 0 ? 0 : selfUs / root.duration_us,
    }))
    .sort((a, b) => b.selfUs - a.selfUs);
}

/** How many microseconds of `outer` at least one of `inner` ran. */
function covered(inner: readonly TraceSpan[], outer: TraceSpan): number {
  const end = outer.start_us + outer.duration_us;
  let sum = 0;
  let reached = outer.start_us;
  for (const span of byStart(inner)) {
    const from = Math.max(reached, span.start_us);
    const to = Math.min(end, span.start_us + span.duration_us);
    if (to <= from) continue;
    sum += to - from;
    reached = to;
  }
  return sum;
}

function byStart(spans: readonly TraceSpan[]): TraceSpan[] {
  return spans.toSorted(
    (a, b) => a.start_us - b.start_us || b.duration_us - a.duration_us || a.span_id.localeCompare(b.span_id),
  );
}
