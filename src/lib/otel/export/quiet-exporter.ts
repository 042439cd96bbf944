import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { logger } from "../../runtime/log.ts";

/** Told of each export. */
export interface ExportObserver {
  /** Spans are being sent. */
  taken(spans: number): void;
  sent(spans: readonly ReadableSpan[]): void;
  failed(spans: readonly ReadableSpan[]): void;
}

/** Between two warnings about a failing collector. */
const WARN_EVERY_MS = 60_000;

/** Exports spans in a turn of its own, and never fails: lost spans must not disturb the service or fill its log. */
export class QuietExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #observer: ExportObserver | undefined;
  readonly #now: () => number;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #lost = 0;

  constructor(inner: SpanExporter, observer?: ExportObserver, now: () => number = () => performance.now()) {
    this.#inner = inner;
    this.#observer = observer;
    this.#now = now;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.#observer?.taken(spans.length);
    const settle = (result: ExportResult) => {
      if (result.code === ExportResultCode.SUCCESS) {
        this.#observer?.sent(spans);
      } else {
        this.#warn(spans.length, result.error);
        this.#observer?.failed(spans);
      }
      done({ code: ExportResultCode.SUCCESS });
    };
    // A full batch is exported from within the end of a span: encoding it takes milliseconds, of which that span's
    // operation would have the wait.
    setImmediate(() => {
      try {
        this.#inner.export(spans, settle);
      } catch (err) {
        settle({ code: ExportResultCode.FAILED, error: err instanceof Error ? err : new Error(String(err)) });
      }
    });
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown().catch(() => {});
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.().catch(() => {});
  }

  #warn(spans: number, error: Error | undefined): void {
    this.#lost += spans;
    if (this.#now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = this.#now();
    logger.warn("spans could not be exported", { lost: this.#lost, reason: error?.message });
    this.#lost = 0;
  }
}
