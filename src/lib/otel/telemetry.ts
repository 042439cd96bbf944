import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { envDetector, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { type Env, readEnv, type Values } from "../config/config.ts";
import { logger } from "../runtime/log.ts";
import { QuietExporter } from "./export/quiet-exporter.ts";
import { BoundedProcessor, SpanLosses } from "./export/span-losses.ts";
import { headersFromFile } from "./export/token-file.ts";
import { passing } from "./passing-tracer.ts";
import { samplesByParent } from "./tracing.ts";
import { variables } from "./variables.ts";

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
  const resource = resourceOf(settings);
  const spanProcessors = processors ?? exporters(settings, resource);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  if (spanProcessors.length === 0 && !env["OTEL_TRACES_SAMPLER"]) {
    trace.setGlobalTracerProvider(passing);
    return { shutdown: async () => {} };
  }
  const sampler = samplerOf(settings);
  samplesByParent(sampler instanceof ParentBasedSampler);
  const provider = new TracerProvider({ resource, spanProcessors, sampler });
  trace.setGlobalTracerProvider(provider);
  return provider;
}

type Settings = Values<typeof variables>;

function exporters(settings: Settings, resource: Resource): SpanProcessor[] {
  const endpoint = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  const isOff = settings.OTEL_SDK_DISABLED || settings.OTEL_TRACES_EXPORTER === "none";
  if (!endpoint || isOff) return [];
  // Endpoint, headers and compression the exporter reads from the environment itself. The time includes its retries, which
  // keep a process that ends alive.
  const timeoutMillis = settings.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT ?? settings.OTEL_EXPORTER_OTLP_TIMEOUT;
  const tokenFile = settings.OTEL_EXPORTER_OTLP_TOKEN_FILE;
  const headers = tokenFile === undefined ? undefined : headersFromFile(tokenFile);
  const exporter = new OTLPTraceExporter({ timeoutMillis, ...(headers && { headers }) });
  const maxQueueSize = settings.OTEL_BSP_MAX_QUEUE_SIZE;
  // Made when spans have been lost.
  const reporter = () =>
    new TracerProvider({ resource, spanProcessors: [processor], sampler: new AlwaysOnSampler() });
  const losses = new SpanLosses(maxQueueSize, () => reporter().getTracer("windhover"));
  const processor: SpanProcessor = new BoundedProcessor(
    new BatchSpanProcessor({
      exporter: new QuietExporter(exporter, losses),
      // By default short, so that a trace is there as soon as the command that made it has returned.
      scheduledDelayMillis: settings.OTEL_BSP_SCHEDULE_DELAY,
      maxQueueSize,
      maxExportBatchSize: settings.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
      exportTimeoutMillis: settings.OTEL_BSP_EXPORT_TIMEOUT,
    }),
    losses,
  );
  return [processor];
}

function resourceOf(settings: Settings): Resource {
  const { version }: { version: string } = createRequire(import.meta.url)("../../../package.json");
  const detected = envDetector.detect().attributes ?? {};
  return resourceFromAttributes({
    "service.version": version,
    "service.instance.id": randomUUID(),
    "host.name": hostname(),
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
