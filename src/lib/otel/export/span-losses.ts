import { ROOT_CONTEXT, TraceFlags, type Tracer } from "@opentelemetry/api";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { counter } from "../metrics.ts";

const dropped = counter(
  "windhover_spans_dropped_total",
  "Spans that were not sent: too many waited for an export, or an export failed.",
  ["reason"],
);
for (const reason of ["queue_full", "export_failed"] as const) dropped.inc({ reason }, 0);

/** Span that tells the receiver how many were lost, and its attribute with their number. */
const REPORT = "telemetry.dropped";
const COUNT = "windhover.spans.dropped";

/**
 * Bounds the spans that wait for an export, and counts those that are lost. Tells the receiver of
 * them by a span, with the first export that succeeds afterwards.
 */
export class SpanLosses {
  readonly #max: number;
  readonly #tracer: () => Tracer;
  #waiting = 0;
  /** Lost, and not told of. */
  #untold = 0;
  /** When the first of them was lost, in milliseconds since the epoch. */
  #sinceMs = 0;
  /** Whether a span that tells of some is on its way. */
  #isTelling = false;

  /**
   * @param max spans that may wait
   * @param tracer whose spans are recorded whatever the sampling, and go the way of the others
   */
  constructor(max: number, tracer: () => Tracer) {
    this.#max = max;
    this.#tracer = tracer;
  }

  /** Counts a span that is to wait. False: there is no room, and it is lost. */
  enter(span: ReadableSpan): boolean {
    if (this.#waiting >= this.#max) {
      this.#lost("queue_full", [span]);
      return false;
    }
    this.#waiting += 1;
    return true;
  }

  /** Spans wait no more: they are being sent. */
  taken(spans: number): void {
    this.#waiting -= spans;
  }

  sent(spans: readonly ReadableSpan[]): void {
    if (spans.some(({ name }) => name === REPORT)) this.#isTelling = false;
    if (this.#untold === 0 || this.#isTelling) return;
    const report = this.#tracer().startSpan(REPORT, { root: true, startTime: this.#sinceMs }, ROOT_CONTEXT);
    report.setAttribute(COUNT, this.#untold);
    this.#untold = 0;
    this.#isTelling = true;
    report.end();
  }

  failed(spans: readonly ReadableSpan[]): void {
    this.#lost("export_failed", spans);
  }

  #lost(reason: "queue_full" | "export_failed", spans: readonly ReadableSpan[]): void {
    dropped.inc({ reason }, spans.length);
    if (this.#untold === 0) this.#sinceMs = Date.now();
    this.#untold += spans.length;
    for (const { name, attributes } of spans) {
      if (name !== REPORT) continue;
      // Those of which it should have told.
      this.#untold += Number(attributes[COUNT] ?? 0);
      this.#isTelling = false;
    }
  }
}

/** Passes spans on as long as there is room for them. */
export class BoundedProcessor implements SpanProcessor {
  readonly #inner: SpanProcessor;
  readonly #losses: SpanLosses;

  constructor(inner: SpanProcessor, losses: SpanLosses) {
    this.#inner = inner;
    this.#losses = losses;
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    const isSampled = (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
    if (isSampled && this.#losses.enter(span)) this.#inner.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}
