import { hostname } from "node:os";
import { type Context, ROOT_CONTEXT, SeverityNumber, TraceFlags, trace } from "@opentelemetry/api";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider, type ReadWriteLogRecord } from "@opentelemetry/sdk-logs";
import { type AuditEntry, fieldsOf } from "./audit-entry.ts";

/** `refused`: the collector takes other entries, but not these. `away`: it may take them later. */
export type ExportOutcome = "sent" | "refused" | "away";

/** Of one export with its retries, which keep a process that ends alive. */
const EXPORT_TIMEOUT_MS = 3_000;
const PATH = "/v1/logs";

/** A collector that takes entries as log records, by OTLP/HTTP. Headers are those of the standard variables. */
export class OtlpCollector {
  readonly #exporter: OTLPLogExporter;
  readonly #records: ReadWriteLogRecord[] = [];
  readonly #logger: ReturnType<LoggerProvider["getLogger"]>;

  /** @param url of the collector, with or without the path of logs */
  constructor(url: string, service: string) {
    const base = url.replace(/\/+$/, "");
    this.#exporter = new OTLPLogExporter({
      url: base.endsWith(PATH) ? base : `${base}${PATH}`,
      timeoutMillis: EXPORT_TIMEOUT_MS,
    });
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({
        "service.name": `windhover-${service}`,
        ...envDetector.detect().attributes,
        "host.name": hostname(),
        "process.pid": process.pid,
      }),
      processors: [
        {
          onEmit: (record, context) => this.#take(record, context),
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    });
    this.#logger = provider.getLogger("windhover.audit");
  }

  /** Sends entries in one request. Never rejects. */
  async send(entries: readonly AuditEntry[]): Promise<{ outcome: ExportOutcome; error?: Error | undefined }> {
    for (const entry of entries) this.#emit(entry);
    const { promise, resolve } = Promise.withResolvers<ExportResult>();
    this.#exporter.export(this.#records.splice(0), resolve);
    const { code, error } = await promise;
    if (code === ExportResultCode.SUCCESS) return { outcome: "sent" };
    // With a status of HTTP it is an answer. Those that ask for a retry come without.
    const isAnswer = error !== undefined && "code" in error && typeof error.code === "number";
    return { outcome: isAnswer ? "refused" : "away", error };
  }

  async close(): Promise<void> {
    await this.#exporter.shutdown();
  }

  #emit(entry: AuditEntry): void {
    const isOk = entry.code === "OK";
    this.#logger.emit({
      // A number below the start of the process would count from there.
      timestamp: new Date(entry.timeMs),
      severityNumber: isOk ? SeverityNumber.INFO : SeverityNumber.WARN,
      severityText: isOk ? "INFO" : "WARN",
      eventName: "windhover.audit",
      body: `${entry.method} ${entry.code}`,
      attributes: fieldsOf(entry),
      context: contextOf(entry.traceId),
    });
  }

  /** The logger leaves out a trace without a span; entries have no span. */
  #take(record: ReadWriteLogRecord, context: Context = ROOT_CONTEXT): void {
    const spanContext = trace.getSpanContext(context);
    if (spanContext) record.spanContext = spanContext;
    this.#records.push(record);
  }
}

function contextOf(traceId: string): Context {
  if (traceId === "") return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: "", traceFlags: TraceFlags.SAMPLED });
}
