import type { Span } from "../span.ts";

const BEGAN = "windhover.handler.began_us";
const DONE = "windhover.handler.done_us";

/**
 * Draws what server spans have before and behind their handlers: `rpc.receive` (less what its children had of that time,
 * such as a wait for a turn) and `rpc.send`. They are not recorded as spans, since each would cost as much as any other.
 *
 * @param parents of the spans that have one
 * @returns the spans drawn, with their parents
 */
export function callPartsOf(
  spans: readonly Span[],
  parents: ReadonlyMap<string, Span>,
): ReadonlyMap<Span, Span> {
  const parts = new Map<Span, Span>();
  const calls = spans.filter((span) => span.kind === "server" && offsetOf(span, BEGAN) !== undefined);
  if (calls.length === 0) return parts;
  const early = earlyChildrenOf(calls, spans, parents);
  for (const call of calls) {
    let fromUs = call.start_us;
    const beganUs = call.start_us + (offsetOf(call, BEGAN) ?? 0);
    const add = (name: string, untilUs: number) => {
      if (untilUs > fromUs) parts.set(partOf(call, name, parts.size, fromUs, untilUs), call);
    };
    for (const child of early.get(call.span_id) ?? []) {
      add("rpc.receive", Math.min(child.start_us, beganUs));
      fromUs = Math.max(fromUs, child.start_us + child.duration_us);
    }
    add("rpc.receive", beganUs);
    const doneUs = offsetOf(call, DONE);
    if (doneUs === undefined) continue;
    fromUs = call.start_us + doneUs;
    add("rpc.send", call.start_us + call.duration_us);
  }
  return parts;
}

/** An attribute that lies within the span; hostile spans may say anything. */
function offsetOf(span: Span, name: string): number | undefined {
  const value = span.attributes[name];
  const isOffset = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  return isOffset && value <= span.duration_us ? value : undefined;
}

/** Children that began before the handler of their call, by start. */
function earlyChildrenOf(
  calls: readonly Span[],
  spans: readonly Span[],
  parents: ReadonlyMap<string, Span>,
): ReadonlyMap<string, readonly Span[]> {
  const began = new Map(calls.map((call) => [call.span_id, call.start_us + (offsetOf(call, BEGAN) ?? 0)]));
  const early = new Map<string, Span[]>();
  for (const span of spans) {
    const parentId = parents.get(span.span_id)?.span_id ?? "";
    if (!(span.start_us < (began.get(parentId) ?? Number.NEGATIVE_INFINITY))) continue;
    const known = early.get(parentId);
    if (known) known.push(span);
    else early.set(parentId, [span]);
  }
  for (const children of early.values()) children.sort((a, b) => a.start_us - b.start_us);
  return early;
}

function partOf(call: Span, name: string, index: number, startUs: number, endUs: number): Span {
  const { trace_id, service, service_version, instance } = call;
  return {
    ...{ trace_id, service, name, kind: "internal", status: "unset", attributes: {} },
    ...(service_version === undefined ? {} : { service_version }),
    ...(instance === undefined ? {} : { instance }),
    span_id: `${call.span_id}.${index}`,
    parent_span_id: call.span_id,
    start_us: startUs,
    duration_us: endUs - startUs,
  };
}
