import { pathOf } from "../../lib/latency/analysis/critical-path.ts";
import { inherited, type Node, treeOf } from "../../lib/latency/analysis/span-tree.ts";
import type { Span } from "../../lib/latency/span.ts";

/** An operation and the spans of its trace. */
export interface Profiled {
  readonly name: string;
  readonly spanId: string;
  readonly spans: readonly Span[];
}

/** Deeper spans count for the last one above. */
const MAX_DEPTH = 64;
const SCHEMA = "https://www.speedscope.app/file-format-schema.json";

/** Writes critical paths as a file of speedscope, a profile for each operation. */
export function speedscopeOf(operations: readonly Profiled[]): object {
  const frames = new Map<string, number>();
  const frameOf = (name: string) => {
    const known = frames.get(name) ?? frames.size;
    frames.set(name, known);
    return known;
  };
  const profiles = operations.flatMap(({ name, spanId, spans }) => {
    const tree = treeOf(spans);
    const top = tree.byId.get(spanId);
    if (!top) return [];
    const segments = pathOf(top, tree);
    const stackOf = stacksBelow(top, ({ span }) => frameOf(`${span.name} (${span.service})`));
    return {
      ...{ type: "sampled", name, unit: "microseconds", startValue: 0, endValue: top.endUs - top.startUs },
      samples: segments.map(({ node }) => stackOf(node)),
      weights: segments.map(({ startUs, endUs }) => endUs - startUs),
    };
  });
  return {
    $schema: SCHEMA,
    name: "critical paths",
    exporter: "windhover",
    shared: { frames: [...frames.keys()].map((name) => ({ name })) },
    profiles,
  };
}

/** Returns what lists the frames from the operation down to a node. A trace may be thousands of spans deep. */
function stacksBelow(top: Node, frameOf: (node: Node) => number): (node: Node) => readonly number[] {
  const known = new WeakMap<Node, readonly number[]>();
  const first = [frameOf(top)];
  return (node) =>
    inherited<readonly number[]>(node, known, (each, above) => {
      if (each === top) return first;
      // A span whose parent has not arrived is below the operation all the same.
      const stack = above ?? first;
      return stack.length < MAX_DEPTH ? [...stack, frameOf(each)] : stack;
    });
}
