import { pathOf } from "../../lib/latency/analysis/critical-path.ts";
import { type Node, treeOf } from "../../lib/latency/analysis/span-tree.ts";
import type { Flame } from "../answers/traces.ts";
import type { Columns } from "../columns/columns.ts";
import type { TraceSource } from "../source.ts";

/** Operations whose traces are read, evenly by duration. */
const MAX_TRACES = 200;
/** Time after which no further trace is read. */
const BUDGET_MS = 200;
/** Deeper spans count for the last one above. */
const MAX_DEPTH = 64;

interface Building {
  us: number;
  readonly children: Map<string, Building>;
}

/** Merges the critical paths of operations by the names of their spans. @param selected shortest first */
export function flame(
  source: TraceSource,
  columns: Columns,
  selected: Uint32Array,
  org: string | undefined,
  nowMs: () => number,
): Flame {
  const root: Building = { us: 0, children: new Map() };
  const until = nowMs() + BUDGET_MS;
  let count = 0;
  for (const index of spread(selected, MAX_TRACES)) {
    if (nowMs() > until) break;
    const spans = source.traceOf(columns.ids.traceId(index), org)?.serviceSpans;
    const tree = treeOf(spans ?? []);
    const top = tree.byId.get(columns.ids.spanId(index));
    if (!top) continue;
    count += 1;
    for (const { node, startUs, endUs } of pathOf(top, tree)) add(root, namesOf(node, top), endUs - startUs);
  }
  const [only, ...others] = root.children;
  // Most operations begin with the same span, which is the root then.
  const whole = only && others.length === 0 ? only : (["operations", root] as const);
  return toJson(whole[0], whole[1], Math.max(1, count), count);
}

/** Takes at most `count` of a list, evenly, in an order that covers it early. */
function spread(list: Uint32Array, count: number): number[] {
  const taken = Math.min(count, list.length);
  const even = Array.from(
    { length: taken },
    (_, k) => list[Math.floor(((k + 0.5) * list.length) / taken)] ?? 0,
  );
  // Every eighth first: the budget may end before the list does.
  return Array.from({ length: 8 }, (_, phase) => even.filter((__, k) => k % 8 === phase)).flat();
}

/** Names of the spans from the operation down to a node. */
function namesOf(node: Node, top: Node): string[] {
  const names: string[] = [];
  for (let at: Node | undefined = node; at; at = at === top ? undefined : at.parent) names.push(at.span.name);
  // A span whose parent has not arrived is below the operation all the same.
  const path = names.reverse();
  if (path[0] !== top.span.name) path.unshift(top.span.name);
  return path.slice(0, MAX_DEPTH);
}

function add(root: Building, names: readonly string[], us: number): void {
  let at = root;
  at.us += us;
  for (const name of names) {
    const next = at.children.get(name) ?? { us: 0, children: new Map() };
    at.children.set(name, next);
    next.us += us;
    at = next;
  }
}

function toJson(name: string, { us, children }: Building, divisor: number, count: number): Flame {
  return {
    name,
    value: us / divisor,
    count,
    children: [...children]
      .toSorted(([, a], [, b]) => b.us - a.us)
      .map(([child, built]) => toJson(child, built, divisor, count)),
  };
}
