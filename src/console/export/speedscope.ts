import { pathOf } from "../../lib/latency/analysis/critical-path.ts";
import { type Node, treeOf } from "../../lib/latency/analysis/span-tree.ts";
import type { Span } from "../../lib/latency/span.ts";

/** An operation and the spans of its trace. */
export interface Profiled {
  readonly name: string;
  readonly spanId: string;
  readonly spans: readonly Span[];
}

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
    return {
      ...{ type: "sampled", name, unit: "microseconds", startValue: 0, endValue: top.endUs - top.startUs },
      samples: segments.map(({ node }) => namesDownTo(node, top).map(frameOf)),
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

/** Names of spans with their services, from the operation down to a node. */
function namesDownTo(node: Node, top: Node): string[] {
  const names: string[] = [];
  for (let at: Node | undefined = node; at; at = at === top ? undefined : at.parent)
    names.push(`${at.span.name} (${at.span.service})`);
  return names.reverse();
}
