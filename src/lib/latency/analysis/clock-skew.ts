import type { Span } from "../span.ts";

/** What must be added to the times of a clock, so that its spans fit into those of another. */
interface Bounds {
  lowUs: number;
  highUs: number;
}

/**
 * Computes what to add to the times of each span, in microseconds, so that they are by the clock of
 * its first ancestor. Spans of one process have one clock.
 *
 * A call's server span must lie within its client span. When those of two processes do, their
 * clocks agree; otherwise the server's is shifted to the middle of what all calls between the two
 * allow, and what is below it too. See docs/adr/0038-critical-paths.md.
 *
 * @param spans of one trace, each id once
 * @param parents by the id of the child, without cycles
 */
export function skewsOf(spans: readonly Span[], parents: ReadonlyMap<string, Span>): Map<string, number> {
  const offsets = offsetsOf(spans, parents);
  const skews = new Map<string, number>();
  for (const span of spans) {
    const path: Span[] = [];
    let at: Span | undefined = span;
    while (at && !skews.has(at.span_id)) {
      path.push(at);
      at = parents.get(at.span_id);
    }
    let skewUs = at ? (skews.get(at.span_id) ?? 0) : 0;
    for (const each of path.reverse()) {
      const parent = parents.get(each.span_id);
      if (parent && isOther(parent, each)) {
        // A call may come back to a process that is further above.
        const same = sameAbove(parent, each, parents);
        const offsetUs = offsets.get(pairOf(parent, each)) ?? 0;
        skewUs = same ? (skews.get(same.span_id) ?? 0) : skewUs + offsetUs;
      }
      skews.set(each.span_id, skewUs);
    }
  }
  return skews;
}

/** Whether a call leads from a span to another process, which has ended it when it answers. */
export function isCall(parent: Span, child: Span): boolean {
  const isRpc = parent.kind === "client" && child.kind === "server";
  // A bid travels in a stream that both sides keep open.
  const isBid = parent.name === "scheduler.bid" && child.name === "hostd.bid";
  return isRpc || isBid;
}

/** Computes the offset of each pair of processes that call each other. */
function offsetsOf(spans: readonly Span[], parents: ReadonlyMap<string, Span>): ReadonlyMap<string, number> {
  const bounds = new Map<string, Bounds>();
  for (const child of spans) {
    const parent = parents.get(child.span_id);
    if (!parent || !isOther(parent, child) || !isCall(parent, child)) continue;
    const pair = pairOf(parent, child);
    const lowUs = parent.start_us - child.start_us;
    const roomUs = parent.duration_us - child.duration_us;
    const known = bounds.get(pair) ?? { lowUs: Number.NEGATIVE_INFINITY, highUs: Number.POSITIVE_INFINITY };
    known.lowUs = Math.max(known.lowUs, lowUs);
    // A server that works longer than its client waits bounds nothing from above.
    if (roomUs >= 0) known.highUs = Math.min(known.highUs, lowUs + roomUs);
    bounds.set(pair, known);
  }
  return new Map([...bounds].map(([pair, each]) => [pair, offsetWithin(each)]));
}

/** Returns the offset to correct a clock by; 0 when it needs none. */
function offsetWithin({ lowUs, highUs }: Bounds): number {
  if (lowUs <= 0 && highUs >= 0) return 0;
  if (highUs === Number.POSITIVE_INFINITY) return lowUs;
  return Math.round((lowUs + highUs) / 2);
}

/** Returns the nearest ancestor of a span's process, from `parent` on. */
function sameAbove(parent: Span, span: Span, parents: ReadonlyMap<string, Span>): Span | undefined {
  for (let at: Span | undefined = parent; at; at = parents.get(at.span_id)) {
    if (!isOther(at, span)) return at;
  }
  return undefined;
}

function isOther(a: Span, b: Span): boolean {
  return clockOf(a) !== clockOf(b);
}

function clockOf({ service, instance }: Span): string {
  return instance ?? service;
}

function pairOf(parent: Span, child: Span): string {
  return `${clockOf(parent)}\n${clockOf(child)}`;
}
