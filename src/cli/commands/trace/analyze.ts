import { pathOf } from "../../../lib/latency/analysis/critical-path.ts";
import { hopOf } from "../../../lib/latency/analysis/hops.ts";
import { type Node, type SpanTree, treeOf } from "../../../lib/latency/analysis/span-tree.ts";
import type { Span } from "../../../lib/latency/span.ts";

/** A span in the tree, with its cost. Times are in microseconds, from the start of the root. */
export interface Row {
  readonly span: Span;
  readonly depth: number;
  /** By the root's clock. */
  readonly offsetUs: number;
  /** Its own time on the root's critical path. */
  readonly selfUs: number;
  /** `selfUs` as a share of the root's duration, 0 to 1. */
  readonly selfShare: number;
  readonly isLeaf: boolean;
  /** Its parent has not arrived, and it is not the root. */
  readonly detached: boolean;
}

/** A hop, with its part of the root's critical path. */
export interface Hop {
  readonly name: string;
  readonly selfUs: number;
  readonly share: number;
}

/** The tree of a trace, and where its time went. */
export interface Analysis {
  readonly root: Span;
  /** Depth first, siblings by start. The root is the first. */
  readonly rows: readonly Row[];
  /** Largest share first. Together they are the root's time. */
  readonly hops: readonly Hop[];
  /** The share of the root's time, 0 to 1, in which at least one span below it ran. */
  readonly coverage: number;
  /** Largest correction of a clock. */
  readonly skewUs: number;
}

/** Arranges the spans of one trace, in any order, complete or not. Undefined without spans. */
export function analyze(spans: readonly Span[]): Analysis | undefined {
  const tree = treeOf(spans);
  const root = rootOf(tree);
  if (!root) return undefined;
  const rootUs = root.endUs - root.startUs;
  const share = (us: number) => (rootUs === 0 ? 0 : us / rootUs);
  const own = new Map<Node, number>();
  const hops = new Map<string, number>();
  for (const { node, startUs, endUs } of pathOf(root, tree)) {
    own.set(node, (own.get(node) ?? 0) + endUs - startUs);
    const hop = hopOf(node);
    hops.set(hop, (hops.get(hop) ?? 0) + endUs - startUs);
  }
  const rows = arrange(tree, root).map(({ node, depth, detached }): Row => {
    const selfUs = own.get(node) ?? 0;
    return {
      ...{ span: node.span, depth, detached, offsetUs: node.startUs - root.startUs },
      ...{ selfUs, selfShare: share(selfUs), isLeaf: node.children.length === 0 },
    };
  });
  return {
    root: root.span,
    rows,
    hops: [...hops]
      .map(([name, selfUs]) => ({ name, selfUs, share: share(selfUs) }))
      .sort((a, b) => b.selfUs - a.selfUs),
    coverage: share(rootUs - (own.get(root) ?? 0)),
    skewUs: tree.nodes.reduce((most, { skewUs }) => Math.max(most, Math.abs(skewUs)), 0),
  };
}

/** Names what a span ran in: its service, or the guest. */
export function placeOf(span: Span): string {
  return /(?:^|\.)guest\b/.test(span.name) ? "guest" : span.service;
}

interface Placed {
  readonly node: Node;
  readonly depth: number;
  readonly detached: boolean;
}

/** Arranges spans depth first from the root, then from those whose parents are missing. */
function arrange({ nodes }: SpanTree, root: Node): Placed[] {
  const placed: Placed[] = [];
  const tops = nodes.filter((node) => node.parent === undefined && node !== root);
  for (const top of [root, ...tops]) {
    // No recursion: a trace may be thousands of spans deep.
    const stack = [{ node: top, depth: 0 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { node, depth } = next;
      placed.push({ node, depth, detached: top !== root });
      for (const child of node.children.toReversed()) stack.push({ node: child, depth: depth + 1 });
    }
  }
  return placed;
}

function rootOf({ nodes }: SpanTree): Node | undefined {
  const tops = nodes.filter((node) => node.parent === undefined);
  return tops.find(({ span }) => span.parent_span_id === undefined) ?? tops[0];
}
