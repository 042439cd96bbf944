import { analyze, nameOf } from "../../../src/cli/index.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { number, table } from "../report/table.ts";

/** The spans of one trace. */
export type Spans = readonly Span[];

/** A span's own time on the critical path: a mean over traces. */
export interface HopTime {
  readonly service: string;
  readonly span: string;
  readonly selfMs: number;
}

/** The parts of one start's time, by its trace. */
export interface StartTimes {
  /** From the client's call until hostd calls its VMM. */
  readonly beforeVmmMs: number;
  /** In the VMM and the guest. */
  readonly vmmMs: number;
  /** The start watch, which follows. */
  readonly watchMs: number;
  /** From there until the client has the answer. */
  readonly afterVmmMs: number;
  /** Share of the whole, 0 to 1, in which a span below the root ran. */
  readonly coverage: number;
}

/** hostd's span of everything that its VMM does, and the span of the start watch. */
const VMM_SPAN = "hostd.acquire";
const WATCH_SPAN = "hostd.watch";

/** Splits one start's time at the span of the VMM. Undefined when the trace has none. */
export function startTimes(spans: Spans): StartTimes | undefined {
  const analysis = analyze(spans);
  const vmm = spans.find((span) => span.name === VMM_SPAN);
  if (!analysis || !vmm) return undefined;
  const { root, coverage } = analysis;
  const beforeVmmUs = vmm.start_us - root.start_us;
  const watchUs = spans.find((span) => span.name === WATCH_SPAN)?.duration_us ?? 0;
  return {
    beforeVmmMs: beforeVmmUs / 1_000,
    vmmMs: vmm.duration_us / 1_000,
    watchMs: watchUs / 1_000,
    afterVmmMs: (root.duration_us - beforeVmmUs - vmm.duration_us - watchUs) / 1_000,
    coverage,
  };
}

/** Returns the mean self time of each hop, in their order. In a trace without the hop it is 0. */
export function meanSelfTimes(traces: readonly Spans[]): readonly HopTime[] {
  const rows = traces.flatMap((spans) => analyze(spans)?.rows ?? []);
  const hops = Object.values(
    Object.groupBy(rows, ({ span }) => `${span.service} ${span.kind} ${span.name}`),
  ).flatMap((of = []) => {
    const [first] = of;
    if (!first) return [];
    const sum = (field: "selfUs" | "offsetUs") => of.reduce((total, row) => total + row[field], 0);
    const selfMs = sum("selfUs") / 1_000 / traces.length;
    return [
      { service: first.span.service, span: nameOf(first.span), selfMs, offset: sum("offsetUs") / of.length },
    ];
  });
  return hops.sort((a, b) => a.offset - b.offset).map(({ offset: _, ...hop }) => hop);
}

/** Shows where the mean time goes, with a column for each kind of start. */
export function breakdownTable(
  kinds: readonly { readonly name: string; readonly traces: readonly Spans[] }[],
): string[] {
  const columns = kinds.map(({ traces }) => meanSelfTimes(traces));
  const keyOf = ({ span, service }: HopTime) => `${span} ${service}`;
  const hops = new Map(columns.flat().map((hop) => [keyOf(hop), hop]));
  const body = [...hops].map(([key, { span, service }]) => {
    const cells = columns.map((column) => column.find((hop) => keyOf(hop) === key)?.selfMs);
    return [span, service, ...cells.map((ms) => (ms === undefined ? "" : number(ms)))];
  });
  const totals = columns.map((column) => number(column.reduce((sum, { selfMs }) => sum + selfMs, 0)));
  return table([["span", "service", ...kinds.map(({ name }) => name)], ...body, ["all", "", ...totals]]);
}
