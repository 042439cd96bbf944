import { pathOf } from "../../lib/latency/analysis/critical-path.ts";
import { hopOf } from "../../lib/latency/analysis/hops.ts";
import { type Node, type SpanTree, treeOf } from "../../lib/latency/analysis/span-tree.ts";
import type { Span } from "../../lib/latency/span.ts";
import type { Waterfall, WaterfallSpan } from "../answers/traces.ts";
import type { Columns } from "../columns/columns.ts";
import { meanOf, namedMeans } from "../columns/hop-means.ts";
import { measured, select } from "../columns/select.ts";
import type { Filter } from "../parameters/filter.ts";
import { rowsOf, typicalHops } from "../queries/rows.ts";
import type { TraceSource } from "../source.ts";
import { rankOf } from "../statistics/percentiles.ts";

/** Typical operations whose spans are read. */
const TYPICAL_TRACES = 20;

/** Shows a trace as a waterfall; undefined when `org` has none of that id. */
export function waterfall(
  source: TraceSource,
  columns: Columns,
  traceId: string,
  org: string | undefined,
): Waterfall | undefined {
  const found = source.traceOf(traceId, org);
  if (!found || found.spans.length === 0) return undefined;
  const tree = treeOf(found.spans);
  const own = columns.ids.withTrace(traceId, columns.length).filter((i) => isVisible(columns, i, org));
  const byLength = own.toSorted(
    (a, b) => (columns.numbers.durationUs[b] ?? 0) - (columns.numbers.durationUs[a] ?? 0),
  );
  const main = byLength[0];
  const top = main === undefined ? undefined : tree.byId.get(columns.ids.spanId(main));
  const alike = main === undefined ? new Uint32Array() : operationsLike(columns, main, org);
  const middle = aroundMedian(alike);
  const usual = usualTimes(source, columns, middle, org);
  return {
    operations: rowsOf(columns, byLength, typicalHops(columns, alike)),
    spans: rowsOfTree(tree, top, criticalOf(found.serviceSpans, top), usual),
    ...(middle.length === 0 ? {} : { typical: typicalOf(columns, middle, alike.length) }),
    machine_id: main === undefined ? "" : columns.at(main).machineId,
  };
}

function isVisible(columns: Columns, index: number, org: string | undefined): boolean {
  if (columns.numbers.isGone[index] === 1) return false;
  return org === undefined || columns.texts.org.textOf(columns.codes.org[index]) === org;
}

/** Selects operations of the same kind and path that succeeded, shortest first. */
function operationsLike(columns: Columns, index: number, org: string | undefined): Uint32Array {
  const path = columns.texts.path.textOf(columns.codes.path[index]);
  const filter: Filter = {
    kind: columns.kindOf(index),
    ...{ sinceMs: 0, untilMs: Number.POSITIVE_INFINITY, outcome: undefined, box: undefined },
    ...{ minUs: 0, maxUs: Number.POSITIVE_INFINITY },
    words: new Map([["path", { included: new Set([path]), excluded: new Set<string>() }]]),
  };
  return measured(columns, select(columns, filter, org), filter);
}

function aroundMedian(ascending: Uint32Array): Uint32Array {
  const middle = rankOf(0.5, ascending.length);
  return ascending.subarray(Math.max(0, middle - TYPICAL_TRACES / 2), middle + TYPICAL_TRACES / 2);
}

function typicalOf(columns: Columns, middle: Uint32Array, count: number): NonNullable<Waterfall["typical"]> {
  return {
    count,
    duration_us: meanOf(columns.numbers.durationUs, middle),
    hops: namedMeans(columns, middle),
  };
}

/** Mean durations of spans by name, in the traces of typical operations. */
function usualTimes(
  source: TraceSource,
  columns: Columns,
  middle: Uint32Array,
  org: string | undefined,
): ReadonlyMap<string, number> {
  const sums = new Map<string, { us: number; count: number }>();
  for (const index of middle) {
    for (const span of source.traceOf(columns.ids.traceId(index), org)?.serviceSpans ?? []) {
      const sum = sums.get(span.name) ?? { us: 0, count: 0 };
      sums.set(span.name, { us: sum.us + span.duration_us, count: sum.count + 1 });
    }
  }
  return new Map([...sums].map(([name, { us, count }]) => [name, us / count]));
}

type Critical = ReadonlyMap<string, WaterfallSpan["critical"]>;

/**
 * The critical path of an operation, by span. What clients sent has no part in it, as it has none in
 * the operation's hops.
 */
function criticalOf(serviceSpans: readonly Span[], of: Node | undefined): Critical {
  const tree = treeOf(serviceSpans);
  const top = of && tree.byId.get(of.span.span_id);
  if (!top) return new Map();
  const critical = new Map<string, WaterfallSpan["critical"][number][]>();
  // Clients' spans above may have another clock: times count from the operation's begin.
  for (const { node, startUs, endUs } of pathOf(top, tree)) {
    const own = critical.get(node.span.span_id) ?? [];
    critical.set(node.span.span_id, own);
    own.push({ offset_us: startUs - top.startUs, duration_us: endUs - startUs });
  }
  return critical;
}

/** Lists spans depth first. No recursion: a trace may be thousands of spans deep. */
function rowsOfTree(
  tree: SpanTree,
  top: Node | undefined,
  critical: Critical,
  usual: ReadonlyMap<string, number>,
): WaterfallSpan[] {
  const zeroUs = top?.startUs ?? tree.nodes[0]?.startUs ?? 0;
  const open = tree.nodes
    .filter(({ parent }) => parent === undefined)
    .map((node) => ({ node, depth: 0 }))
    .reverse();
  const rows: WaterfallSpan[] = [];
  for (let next = open.pop(); next; next = open.pop()) {
    const { node, depth } = next;
    const { span } = node;
    rows.push({
      ...{ span_id: span.span_id, parent_span_id: span.parent_span_id ?? "", name: span.name },
      ...{ service: span.service, hop: hopOf(node, top), depth },
      ...{ offset_us: node.startUs - zeroUs, duration_us: node.endUs - node.startUs },
      critical: critical.get(span.span_id) ?? [],
      ...{ skew_us: node.skewUs, status: span.status, status_message: span.status_message ?? "" },
      attributes: span.attributes,
      events: (span.events ?? []).map(({ name, time_us, attributes }) => ({
        ...{ name, attributes, offset_us: time_us + node.skewUs - zeroUs },
      })),
      links: span.links ?? [],
      typical_us: usual.get(span.name) ?? null,
    });
    for (const child of node.children.toReversed()) open.push({ node: child, depth: depth + 1 });
  }
  return rows;
}
