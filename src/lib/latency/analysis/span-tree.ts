import type { Span } from "../span.ts";
import { callPartsOf } from "./call-parts.ts";
import { isCall, skewsOf } from "./clock-skew.ts";

/** A span in its trace. Times are in microseconds since the epoch, by the clock of its first ancestor. */
export interface Node {
  readonly span: Span;
  readonly startUs: number;
  readonly endUs: number;
  /** What was added to the times of the span. */
  readonly skewUs: number;
  /** Undefined for a root, and for a span whose parent has not arrived. */
  readonly parent: Node | undefined;
  /** By start. */
  readonly children: readonly Node[];
  /** Spans further below that end after their parents did, and before this one. By start. */
  readonly late: readonly Node[];
}

/** The spans of one trace. */
export interface SpanTree {
  /** By start. */
  readonly nodes: readonly Node[];
  readonly byId: ReadonlyMap<string, Node>;
  /** Spans that name a parent which is not there. By start. */
  readonly orphans: readonly Node[];
}

type Building = { -readonly [K in keyof Node]: Node[K] } & { children: Node[]; late: Node[] };

/** What two spans of one process may differ by when they end together. */
const TOLERANCE_US = 1_000;

/**
 * Arranges the spans of one trace, in any order, complete or not, corrects their clocks, and adds the parts
 * of calls. Of spans with one id the first by time counts. A cycle is broken at its first span.
 */
export function treeOf(spans: readonly Span[]): SpanTree {
  const unique = new Map<string, Span>();
  for (const span of spans.toSorted(byTime)) {
    if (!unique.has(span.span_id)) unique.set(span.span_id, span);
  }
  const parents = parentsOf(unique);
  const skews = skewsOf([...unique.values()], parents);
  for (const [part, call] of callPartsOf([...unique.values()], parents)) {
    unique.set(part.span_id, part);
    parents.set(part.span_id, call);
    skews.set(part.span_id, skews.get(call.span_id) ?? 0);
  }
  const nodes = new Map<string, Building>();
  for (const [id, span] of unique) {
    const skewUs = skews.get(id) ?? 0;
    const startUs = span.start_us + skewUs;
    const endUs = startUs + Math.max(0, span.duration_us);
    nodes.set(id, { span, startUs, endUs, skewUs, parent: undefined, children: [], late: [] });
  }
  const sorted = [...nodes.values()].sort(byNode);
  for (const node of sorted) {
    const parent = nodes.get(parents.get(node.span.span_id)?.span_id ?? "");
    if (!parent) continue;
    node.parent = parent;
    parent.children.push(node);
  }
  for (const node of sorted) ancestorOfLate(node)?.late.push(node);
  const isOrphan = ({ parent, span }: Node) => parent === undefined && span.parent_span_id !== undefined;
  return { nodes: sorted, byId: nodes, orphans: sorted.filter(isOrphan) };
}

/** Returns the nodes at and below one, parents first, nearest first. */
export function subtreeOf(top: Node): Node[] {
  const found = [top];
  for (let i = 0; i < found.length; i += 1) {
    for (const child of found[i]?.children ?? []) found.push(child);
  }
  return found;
}

/**
 * Computes something of a node from the same of its parent, each once. A trace may be thousands of
 * spans deep, so neither recursion nor a walk up from each node will do.
 */
export function inherited<T>(
  node: Node,
  known: WeakMap<Node, T>,
  of: (node: Node, ofParent: T | undefined) => T,
): T {
  const path: Node[] = [];
  let at: Node | undefined = node;
  while (at && !known.has(at)) {
    path.push(at);
    at = at.parent;
  }
  let value = at && known.get(at);
  for (const each of path.reverse()) {
    value = of(each, value);
    known.set(each, value);
  }
  // The loop has run, or the node was known.
  return value as T;
}

/** Returns the spans whose parents have not arrived and that ran within the time of another. */
export function orphansWithin(top: Node, { orphans }: SpanTree): readonly Node[] {
  const above = new Set<Node>();
  for (let node: Node | undefined = top; node; node = node.parent) above.add(node);
  const isWithin = ({ startUs, endUs }: Node) => startUs >= top.startUs && endUs <= top.endUs;
  return orphans.filter((each) => !above.has(each) && isWithin(each));
}

/** Returns the nearest ancestor that a span which outlives its parent ends within. */
function ancestorOfLate(node: Node): Building | undefined {
  const { parent } = node;
  if (!parent || node.endUs <= parent.endUs || isCall(parent.span, node.span)) return undefined;
  for (let above = parent.parent; above; above = above.parent) {
    // All nodes are built here.
    if (node.endUs <= above.endUs + TOLERANCE_US) return above as Building;
  }
  return undefined;
}

/** Returns the parent of each span that has one in the trace. */
function parentsOf(spans: ReadonlyMap<string, Span>): Map<string, Span> {
  const parents = new Map<string, Span>();
  for (const [id, span] of spans) {
    const parent = spans.get(span.parent_span_id ?? "");
    if (parent && parent !== span) parents.set(id, parent);
  }
  const rooted = new Set<string>();
  for (const id of spans.keys()) {
    const path = new Set<string>();
    let at: string | undefined = id;
    while (at !== undefined && !rooted.has(at) && !path.has(at)) {
      path.add(at);
      at = parents.get(at)?.span_id;
    }
    if (at !== undefined && path.has(at)) parents.delete(firstOf(at, parents, spans));
    for (const each of path) rooted.add(each);
  }
  return parents;
}

/** Returns the first span of a cycle by time. */
function firstOf(
  member: string,
  parents: ReadonlyMap<string, Span>,
  spans: ReadonlyMap<string, Span>,
): string {
  let first = spans.get(member);
  for (let at = parents.get(member); at && at.span_id !== member; at = parents.get(at.span_id)) {
    if (!first || byTime(at, first) < 0) first = at;
  }
  return first?.span_id ?? member;
}

function byTime(a: Span, b: Span): number {
  const byId = a.span_id < b.span_id ? -1 : a.span_id > b.span_id ? 1 : 0;
  return a.start_us - b.start_us || b.duration_us - a.duration_us || byId || compareRest(a, b);
}

/** Orders spans that say different things under one id. */
function compareRest(a: Span, b: Span): number {
  const [left, right] = [JSON.stringify(a), JSON.stringify(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

function byNode(a: Node, b: Node): number {
  return a.startUs - b.startUs || byTime(a.span, b.span);
}
