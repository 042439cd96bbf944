import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  type ExportResult,
  ExportResultCode,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { logger } from "../runtime/log.ts";
import { passing } from "./passing-tracer.ts";

/** The environment, of which only the standard `OTEL_*` variables are read. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A failing collector is mentioned at most this often. */
const COMPLAIN_EVERY_MS = 60_000;

/**
 * Sets up tracing for this process: context through promises, W3C propagation, a provider. Spans are recorded and exported only when
 * `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`) is set; without it traces pass through, and give logs their ids.
 *
 * @param processors replace the exporter, for tests
 * @returns what stops it; a program that ends uses `flushTelemetry`
 */
export function startTelemetry(
  env: Env,
  processors: SpanProcessor[] = exporters(env),
): { shutdown(): Promise<void> } {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  const sampler = samplerOf(env);
  if (processors.length === 0 && !sampler) {
    trace.setGlobalTracerProvider(passing);
    return { shutdown: async () => {} };
  }
  const provider = new TracerProvider({
    resource: resource(env),
    spanProcessors: processors,
    ...(sampler ? { sampler } : {}),
  });
  trace.setGlobalTracerProvider(provider);
  return provider;
}

/** Passes spans on and never fails: losing spans is no reason to disturb the service or to flood its log. */
export class QuietExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #now: () => number;
  #complainedAt = Number.NEGATIVE_INFINITY;
  #lost = 0;

  constructor(inner: SpanExporter, now: () => number = () => performance.now()) {
    this.#inner = inner;
    this.#now = now;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    const settle = (result: ExportResult) => {
      if (result.code !== ExportResultCode.SUCCESS) this.#complain(spans.length, result.error);
      done({ code: ExportResultCode.SUCCESS });
    };
    try {
      this.#inner.export(spans, settle);
    } catch (err) {
      settle({ code: ExportResultCode.FAILED, error: err instanceof Error ? err : new Error(String(err)) });
    }
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown().catch(() => {});
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.().catch(() => {});
  }

  #complain(spans: number, error: Error | undefined): void {
    this.#lost += spans;
    if (this.#now() - this.#complainedAt < COMPLAIN_EVERY_MS) return;
    this.#complainedAt = this.#now();
    logger.warn("spans could not be exported", { lost: this.#lost, reason: error?.message });
    this.#lost = 0;
  }
}

function exporters(env: Env): SpanProcessor[] {
  const endpoint = env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] || env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  const off = env["OTEL_SDK_DISABLED"] === "true" || env["OTEL_TRACES_EXPORTER"] === "none";
  if (!endpoint || off) return [];
  return [
    new BatchSpanProcessor({
      // Reads endpoint, headers and compression from the environment itself. The time includes its retries, which
      // keep a process that wants to end alive.
      exporter: new QuietExporter(new OTLPTraceExporter({ timeoutMillis: exportTimeoutMs(env) })),
      // Short, so that a trace can be looked at as soon as the command that caused it has returned.
      scheduledDelayMillis: numberOf(env["OTEL_BSP_SCHEDULE_DELAY"]) ?? 300,
      maxQueueSize: numberOf(env["OTEL_BSP_MAX_QUEUE_SIZE"]) ?? 4_096,
      maxExportBatchSize: numberOf(env["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]) ?? 512,
      exportTimeoutMillis: numberOf(env["OTEL_BSP_EXPORT_TIMEOUT"]) ?? 10_000,
    }),
  ];
}

function exportTimeoutMs(env: Env): number {
  return (
    numberOf(env["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"]) ?? numberOf(env["OTEL_EXPORTER_OTLP_TIMEOUT"]) ?? 2_000
  );
}

function resource(env: Env) {
  const detected = envDetector.detect().attributes ?? {};
  return resourceFromAttributes({
    ...detected,
    "service.name": env["OTEL_SERVICE_NAME"] || detected["service.name"] || "windhover",
    "process.pid": process.pid,
  });
}

/** The sampler the environment asks for; undefined for the SDK's default, which is everything, as the parent decided. */
function samplerOf(env: Env): Sampler | undefined {
  const asked = env["OTEL_TRACES_SAMPLER"];
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratioOf(env["OTEL_TRACES_SAMPLER_ARG"])),
  };
  if (!asked) return undefined;
  const root = roots[asked.replace(/^parentbased_/, "")]?.();
  if (!root) {
    logger.warn("the sampler is not known and everything is sampled", { sampler: asked });
    return undefined;
  }
  return asked.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}

function ratioOf(raw: string | undefined): number {
  const ratio = raw ? Number(raw) : 1;
  return ratio >= 0 && ratio <= 1 ? ratio : 1;
}

function numberOf(raw: string | undefined): number | undefined {
  const value = raw ? Number(raw) : Number.NaN;
  return Number.isInteger(value) && value > 0 ? value : undefined;
}
