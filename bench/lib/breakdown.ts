import type { TraceSpan } from "../../src/cli/index.ts";
import { analyze, nameOf } from "../../src/cli/index.ts";
import { number, table } from "./table.ts";

/** A hop, named by its service and span, and the time spent in it and nowhere below, in milliseconds. */
export interface HopTime {
  readonly service: string;
  readonly span: string;
  readonly selfMs: number;
}

/** What a trace of one start says about the parts of its time. All in milliseconds. */
export interface StartTimes {
  readonly wholeMs: number;
  /** From the client's call until hostd turns to its VMM. */
  readonly handOverMs: number;
  /** In the VMM and the guest. */
  readonly vmmMs: number;
  /** Part of that: the start watch. */
  readonly watchMs: number;
  /** From there until the client has the answer. */
  readonly wayBackMs: number;
  /** Share of the whole, 0 to 1, in which some span below the root ran. */
  readonly coverage: number;
}

/** hostd's span around everything its VMM does: getting a VM, running the program in it, watching the start. */
const VMM_SPAN = "hostd.acquire";
/** In it, the start watch. A start that asks for none has none. */
const WATCH_SPAN = "vmm.watch";

/** Splits one start's time at the span around the VMM. Undefined when the trace has no such span. */
export function startTimes(spans: readonly TraceSpan[]): StartTimes | undefined {
  const analysis = analyze(spans);
  const vmm = spans.find((span) => span.name === VMM_SPAN);
  if (!analysis || !vmm) return undefined;
  const { root, coverage } = analysis;
  const handOverUs = vmm.start_us - root.start_us;
  return {
    wholeMs: root.duration_us / 1_000,
    handOverMs: handOverUs / 1_000,
    vmmMs: vmm.duration_us / 1_000,
    watchMs: (spans.find((span) => span.name === WATCH_SPAN)?.duration_us ?? 0) / 1_000,
    wayBackMs: (root.duration_us - handOverUs - vmm.duration_us) / 1_000,
    coverage,
  };
}

/** The mean self time of each hop over all traces, in the order in which they happen. A hop that a trace lacks counts as nothing there. */
export function meanSelfTimes(traces: readonly (readonly TraceSpan[])[]): readonly HopTime[] {
  const sums = new Map<
    string,
    { service: string; span: string; selfUs: number; offsetUs: number; n: number }
  >();
  for (const spans of traces) {
    for (const { span, selfUs, offsetUs } of analyze(spans)?.rows ?? []) {
      const key = `${span.service} ${span.kind} ${span.name}`;
      const sum = sums.get(key) ?? {
        service: span.service,
        span: nameOf(span),
        selfUs: 0,
        offsetUs: 0,
        n: 0,
      };
      sum.selfUs += selfUs;
      sum.offsetUs += offsetUs;
      sum.n += 1;
      sums.set(key, sum);
    }
  }
  return [...sums.values()]
    .sort((a, b) => a.offsetUs / a.n - b.offsetUs / b.n)
    .map(({ service, span, selfUs }) => ({ service, span, selfMs: selfUs / 1_000 / traces.length }));
}

/** One column for each kind of start: where its mean time goes. */
export function breakdownTable(
  kinds: readonly { readonly name: string; readonly traces: readonly (readonly TraceSpan[])[] }[],
): string[] {
  const columns = kinds.map(({ traces }) => meanSelfTimes(traces));
  const keys = new Map<string, readonly [string, string]>();
  for (const { service, span } of columns.flat()) keys.set(`${service} ${span}`, [span, service]);
  const timeIn = (hops: readonly HopTime[], [span, service]: readonly [string, string]) =>
    hops.find((hop) => hop.span === span && hop.service === service)?.selfMs;
  const body = [...keys.values()].map((key) => [
    key[0],
    key[1],
    ...columns.map((hops) => {
      const value = timeIn(hops, key);
      return value === undefined ? "" : number(value);
    }),
  ]);
  const totals = columns.map((hops) => number(hops.reduce((sum, hop) => sum + hop.selfMs, 0)));
  return table([["span", "service", ...kinds.map(({ name }) => name)], ...body, ["all", "", ...totals]]);
}
