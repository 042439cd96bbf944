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
import { type Env, readEnv, type Values } from "../config/config.ts";
import { logger } from "../runtime/log.ts";
import { passing } from "./passing-tracer.ts";
import { headersFromFile } from "./token-file.ts";
import { variables } from "./variables.ts";

/** Between two warnings about a failing collector. */
const WARN_EVERY_MS = 60_000;

/**
 * Sets up tracing for this process: context through promises, W3C propagation, a provider. Spans are recorded and exported
 * only when an endpoint is set or a sampler is named; without, traces pass through and give logs their ids. A variable that
 * is wrong is ignored with a warning, as the standard asks for.
 *
 * @param processors replace the exporter, for tests
 * @returns what stops it; a program that ends uses `flushTelemetry`
 */
export function startTelemetry(env: Env, processors?: SpanProcessor[]): { shutdown(): Promise<void> } {
  const settings = readEnv(env, variables, (problem) => logger.warn("a variable is ignored", { problem }));
  const spanProcessors = processors ?? exporters(settings);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  if (spanProcessors.length === 0 && !env["OTEL_TRACES_SAMPLER"]) {
    trace.setGlobalTracerProvider(passing);
    return { shutdown: async () => {} };
  }
  const provider = new TracerProvider({
    resource: resource(settings),
    spanProcessors,
    sampler: samplerOf(settings),
  });
  trace.setGlobalTracerProvider(provider);
  return provider;
}

/** Exports spans and never fails: lost spans must not disturb the service or fill its log. */
export class QuietExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #now: () => number;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #lost = 0;

  constructor(inner: SpanExporter, now: () => number = () => performance.now()) {
    this.#inner = inner;
    this.#now = now;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    const settle = (result: ExportResult) => {
      if (result.code !== ExportResultCode.SUCCESS) this.#warn(spans.length, result.error);
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

  #warn(spans: number, error: Error | undefined): void {
    this.#lost += spans;
    if (this.#now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = this.#now();
    logger.warn("spans could not be exported", { lost: this.#lost, reason: error?.message });
    this.#lost = 0;
  }
}

type Settings = Values<typeof variables>;

function exporters(settings: Settings): SpanProcessor[] {
  const endpoint = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  const isOff = settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === "none";
  if (!endpoint || isOff) return [];
  // Endpoint, headers and compression the exporter reads from the environment itself. The time includes its retries, which
  // keep a process that ends alive.
  const timeoutMillis = settings.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? settings.OTEL_EXPORTER_OTLP_TIMEOUT;
  const tokenFile = settings.OTEL_EXPORTER_OTLP_TOKEN_FILE;
  const headers = tokenFile === undefined ? undefined : headersFromFile(tokenFile);
  return [
    new BatchSpanProcessor({
      exporter: new QuietExporter(new OTLPTraceExporter({ timeoutMillis, ...(headers && { headers }) })),
      // By default short, so that a trace is there as soon as the command that made it has returned.
      scheduledDelayMillis: settings.OTEL_BSP_SCHEDULE_DELAY,
      maxQueueSize: settings.OTEL_BSP_MAX_QUEUE_SIZE,
      maxExportBatchSize: settings.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
      exportTimeoutMillis: settings.OTEL_BSP_EXPORT_TIMEOUT,
    }),
  ];
}

function resource(settings: Settings) {
  const detected = envDetector.detect().attributes ?? {};
  return resourceFromAttributes({
    ...detected,
    "service.name": settings.OTEL_SERVICE_NAME ?? detected["service.name"] ?? "windhover",
    "process.pid": process.pid,
  });
}

function samplerOf(settings: Settings): Sampler {
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(settings.OTEL_TRACES_SAMPLER_ARG),
  };
  const asked = settings.OTEL_TRACES_SAMPLER;
  const root = roots[asked.replace(/^parentbased_/, "")]?.() ?? new AlwaysOnSampler();
  return asked.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
}
