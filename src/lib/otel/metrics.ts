import { type Span, trace } from "@opentelemetry/api";
import { Counter, Gauge, Histogram, type LabelValues, Registry } from "prom-client";
import { Fault, isServerFault } from "../faults/fault.ts";

export const registry = new Registry();

/**
 * Buckets of starts, in seconds, the same at api and hostd so that both can be compared. Fine around
 * warm starts, with the target figures (60, 150, 400 and 900 ms), up to a cold start on a loaded host.
 */
export const START_BUCKETS = [
  ...[0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2],
  ...[0.3, 0.4, 0.6, 0.9, 1.5, 3, 5, 10, 20, 30, 60],
];

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** A histogram of durations, each bucket with the trace of the last one in it: its exemplar. */
class SecondsHistogram<L extends string> {
  readonly #histogram: Histogram<L>;

  constructor(name: string, help: string, labelNames: readonly L[], buckets: readonly number[]) {
    this.#histogram = new Histogram({
      ...{ name, help, labelNames: [...labelNames], buckets: [...buckets] },
      enableExemplars: true,
      // The constructor takes exemplars for registries of OpenMetrics only. The plain text omits them.
      registers: [],
    });
    registry.registerMetric(this.#histogram);
  }

  /**
   * @param traced span that was measured, or the id of its trace; default: the active span. A span
   *   that is not recorded, or not any longer, is no exemplar.
   */
  observe(
    labels: LabelValues<L>,
    seconds: number,
    traced: Span | string | undefined = trace.getActiveSpan(),
  ): void {
    // prom-client types the labels of exemplars as those of the metric.
    const exemplarLabels = exemplarOf(traced) as LabelValues<L>;
    this.#histogram.observe({ labels, value: seconds, exemplarLabels });
  }

  /** Exposes a series before anything is observed. */
  zero(labels: LabelValues<L>): void {
    this.#histogram.zero(labels);
  }
}

const NO_EXEMPLAR = {};
const TRACE_ID = /^[0-9a-f]{32}$/;

function exemplarOf(traced: Span | string | undefined): Readonly<Record<string, string>> {
  if (typeof traced === "string") return TRACE_ID.test(traced) ? { trace_id: traced } : NO_EXEMPLAR;
  if (!traced?.isRecording()) return NO_EXEMPLAR;
  const { traceId, spanId } = traced.spanContext();
  return { trace_id: traceId, span_id: spanId };
}

export const rpcServerSeconds = secondsHistogram(
  "rpc_server_call_duration_seconds",
  "Duration of calls served.",
  ["rpc_method", "rpc_status_code"],
);

export const rpcClientSeconds = secondsHistogram(
  "rpc_client_call_duration_seconds",
  "Duration of calls made to other services.",
  ["rpc_method", "rpc_status_code"],
);

/** How work ended, as a label. `refused`: the caller's fault or a lack of capacity; `failed`: ours. */
export type OutcomeLabel = "ok" | "refused" | "cancelled" | "failed";

export const OUTCOMES: readonly OutcomeLabel[] = ["ok", "refused", "cancelled", "failed"];

export function outcomeOf(err: unknown): Exclude<OutcomeLabel, "ok"> {
  if (!(err instanceof Fault)) return "failed";
  if (err.code === "CANCELLED") return "cancelled";
  return isServerFault(err.code) ? "failed" : "refused";
}

/** Makes a counter. Label values must come from a small fixed set, never ids. */
export function counter<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  return new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
}

/** Makes a histogram of durations in seconds. Label values must come from a small fixed set, never ids. */
export function secondsHistogram<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  buckets: readonly number[] = SECONDS,
): SecondsHistogram<L> {
  return new SecondsHistogram(name, help, labelNames, buckets);
}

/** Makes a gauge that reads its value on each scrape. */
export function gauge(name: string, help: string, read: () => number | Promise<number>): Gauge {
  return new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      this.set(await read());
    },
  });
}

/** Makes a gauge with one label that reads its values on each scrape. A value that is gone is exposed no longer. */
export function gaugeBy<L extends string>(
  name: string,
  help: string,
  label: L,
  read: () => Iterable<readonly [labelValue: string, value: number]>,
): Gauge<L> {
  return new Gauge<L>({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      // TypeScript does not see that this is a record of one label.
      for (const [labelValue, value] of read()) this.set({ [label]: labelValue } as Record<L, string>, value);
    },
  });
}

/** Makes a counter that reads its value on each scrape. */
export function counterOf(name: string, help: string, read: () => number): Counter {
  return new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}
