import type { Span } from "../span.ts";
import { type Node, orphansWithin, type SpanTree, treeOf } from "./span-tree.ts";

/** A piece of an operation's time and the span that decided it. Microseconds since the epoch. */
export interface Segment {
  readonly spanId: string;
  readonly startUs: number;
  readonly endUs: number;
}

/** A segment with its node. */
export interface NodeSegment {
  readonly node: Node;
  readonly startUs: number;
  readonly endUs: number;
}

/**
 * Divides the time of a span among it and the spans below, so that each moment belongs to the one
 * that the operation waited for. Segments are in the order of time, do not overlap, and together are
 * exactly the span's duration. Empty when there is no such span, or it took no time.
 *
 * From its end backwards, the child that finished last before decided when the span went on; before
 * that child began, the next one. What is left goes to children that overlap those, and to spans
 * further below that have outlived their parents. The rest is the span's own time.
 */
export function criticalPath(spans: readonly Span[], operationSpanId: string): readonly Segment[] {
  const tree = treeOf(spans);
  const top = tree.byId.get(operationSpanId);
  if (!top) return [];
  return pathOf(top, tree).map(({ node, startUs, endUs }) => ({ spanId: node.span.span_id, startUs, endUs }));
}

/** Computes the critical path of a node. */
export function pathOf(top: Node, tree: SpanTree): readonly NodeSegment[] {
  const own: NodeSegment[] = [];
  const orphans = orphansWithin(top, tree);
  const open: NodeSegment[] = [{ node: top, startUs: top.startUs, endUs: top.endUs }];
  // No recursion: a trace may be thousands of spans deep.
  for (let window = open.pop(); window; window = open.pop()) {
    const { taken, gaps } = takeFinished(window);
    open.push(...taken);
    const chosen = new Set(taken.map(({ node }) => node));
    const others = [...window.node.children, ...window.node.late, ...(window.node === top ? orphans : [])];
    const rest = others.filter((node) => !chosen.has(node));
    const filled = fillGaps(window.node, gaps, rest);
    open.push(...filled.taken);
    own.push(...filled.own);
  }
  return merge(own.sort((a, b) => a.startUs - b.startUs));
}

interface Interval {
  readonly startUs: number;
  readonly endUs: number;
}

/** Takes children from the end backwards, each the last that finished before the next one began. */
function takeFinished({ node, startUs, endUs }: NodeSegment): { taken: NodeSegment[]; gaps: Interval[] } {
  const taken: NodeSegment[] = [];
  const gaps: Interval[] = [];
  let cursorUs = endUs;
  for (const child of byEnd(node)) {
    if (child.endUs > cursorUs) continue;
    if (child.endUs <= startUs) break;
    const fromUs = Math.max(child.startUs, startUs);
    if (fromUs >= child.endUs) continue;
    if (child.endUs < cursorUs) gaps.push({ startUs: child.endUs, endUs: cursorUs });
    taken.push({ node: child, startUs: fromUs, endUs: child.endUs });
    cursorUs = fromUs;
  }
  if (cursorUs > startUs) gaps.push({ startUs, endUs: cursorUs });
  return { taken, gaps };
}

/**
 * Gives what is left of a span's time to spans that run then: from the end backwards the one that
 * ends last, and of several that go on, the one that began first.
 *
 * @param gaps latest first
 */
function fillGaps(
  node: Node,
  gaps: readonly Interval[],
  rest: readonly Node[],
): { taken: NodeSegment[]; own: NodeSegment[] } {
  const taken: NodeSegment[] = [];
  const own: NodeSegment[] = [];
  const byLastEnd = rest.toSorted((a, b) => b.endUs - a.endUs || a.startUs - b.startUs);
  let next = 0;
  /** Of those that run at the cursor or later, the one that began first. */
  let first: Node | undefined;
  for (const gap of gaps) {
    let cursorUs = gap.endUs;
    while (cursorUs > gap.startUs) {
      for (let other = byLastEnd[next]; other && other.endUs >= cursorUs; other = byLastEnd[++next]) {
        if (!first || other.startUs < first.startUs) first = other;
      }
      const isRunning = first !== undefined && first.startUs < cursorUs;
      const beginUs = isRunning ? (first?.startUs ?? 0) : (byLastEnd[next]?.endUs ?? 0);
      const fromUs = Math.max(gap.startUs, beginUs);
      const segment = { startUs: fromUs, endUs: cursorUs };
      if (isRunning && first) taken.push({ node: first, ...segment });
      else own.push({ node, ...segment });
      cursorUs = fromUs;
    }
  }
  return { taken, own };
}

const ends = new WeakMap<Node, readonly Node[]>();

/** Returns the children, last end first. Sorted once: a node may have several windows. */
function byEnd(node: Node): readonly Node[] {
  const known = ends.get(node);
  if (known) return known;
  const sorted = node.children.toSorted((a, b) => b.endUs - a.endUs || a.startUs - b.startUs);
  ends.set(node, sorted);
  return sorted;
}

/** Joins segments of one span that touch. */
function merge(sorted: readonly NodeSegment[]): NodeSegment[] {
  const merged: NodeSegment[] = [];
  for (const segment of sorted) {
    const last = merged.at(-1);
    if (last?.node === segment.node && last.endUs === segment.startUs) {
      merged[merged.length - 1] = { ...last, endUs: segment.endUs };
    } else merged.push(segment);
  }
  return merged;
}
