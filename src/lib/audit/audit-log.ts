import { counter } from "../otel/metrics.ts";
import { startLoop } from "../runtime/lifecycle.ts";
import { logger } from "../runtime/log.ts";
import { type AuditEntry, type AuditSink, toLine } from "./audit-entry.ts";
import { AuditFile, type FileBounds } from "./audit-file.ts";
import { OtlpExport } from "./otlp-export.ts";
import { FOLDED_CODES, Refusals } from "./refusals.ts";
import { Syslog } from "./syslog.ts";

/** Where entries go. */
export interface AuditSettings {
  /** Undefined: to no file. */
  readonly folder: string | undefined;
  readonly bounds: FileBounds;
  /** `host:port`; undefined: to no server. */
  readonly syslog: string | undefined;
  /** URL of an OpenTelemetry collector; undefined: to none. */
  readonly otlp: string | undefined;
}

/** Values of the variables that bound the files of every service's log. */
export interface AuditValues {
  readonly AUDIT_FILE_MB: number;
  readonly AUDIT_FILES: number;
  readonly AUDIT_SYSLOG: string | undefined;
  readonly AUDIT_OTLP: string | undefined;
}

export function auditSettings(values: AuditValues, folder: string | undefined): AuditSettings {
  const bounds = { maxBytes: values.AUDIT_FILE_MB * 1024 * 1024, maxFiles: values.AUDIT_FILES };
  return { folder, bounds, syslog: values.AUDIT_SYSLOG, otlp: values.AUDIT_OTLP };
}

/** How long an entry waits in memory, at most, when the disk keeps up. */
const FLUSH_MS = 250;
const REFUSALS_WINDOW_MS = 10_000;
const WARN_EVERY_MS = 60_000;
/** Entries that wait for the disk; some 5 MB. */
const MAX_WAITING = 10_000;
/** Written at once. */
const MAX_BATCH = 1_000;

const entries = counter("windhover_audit_entries_total", "Entries of the audit log that were written.");
const dropped = counter("windhover_audit_dropped_total", "Entries lost because the disk did not keep up.");

/**
 * The audit log of a service. An entry is taken at once and written and synced within a quarter of
 * a second, in the background: a disk that is slow or full loses entries and delays no call.
 */
export class AuditLog implements AuditSink {
  readonly #file: AuditFile | undefined;
  readonly #syslog: Syslog | undefined;
  readonly #otlp: OtlpExport | undefined;
  readonly #refusals = new Refusals();
  readonly #stops: (() => Promise<void>)[];
  #waiting: AuditEntry[] = [];
  #warnedAt = Number.NEGATIVE_INFINITY;

  /** @param service for syslog and collector */
  constructor(settings: AuditSettings, service: string) {
    this.#file = settings.folder === undefined ? undefined : new AuditFile(settings.folder, settings.bounds);
    this.#syslog = settings.syslog === undefined ? undefined : new Syslog(settings.syslog, service);
    this.#otlp = settings.otlp === undefined ? undefined : new OtlpExport(settings.otlp, service);
    this.#stops = [
      startLoop(FLUSH_MS, 0, () => this.#flush(), { name: "write audit log" }),
      startLoop(REFUSALS_WINDOW_MS, 0, () => this.#endWindow(), { name: "fold refusals" }),
    ];
  }

  record(entry: AuditEntry): void {
    const told = FOLDED_CODES.has(entry.code) ? this.#refusals.add(entry) : entry;
    if (told) this.#take(told);
  }

  async close(): Promise<void> {
    await Promise.all(this.#stops.map((stop) => stop()));
    this.#endWindow();
    await this.#flush();
    await this.#file?.close();
    this.#syslog?.close();
    await this.#otlp?.close();
  }

  #endWindow(): void {
    for (const entry of this.#refusals.end()) this.#take(entry);
  }

  #take(entry: AuditEntry): void {
    this.#otlp?.add(entry);
    if (this.#waiting.length >= MAX_WAITING) dropped.inc();
    else this.#waiting.push(entry);
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      const lines = batch.map(toLine);
      try {
        await this.#file?.append(`${lines.join("\n")}\n`);
      } catch (error) {
        await this.#file?.close().catch(() => {});
        this.#warn(error);
        return;
      }
      this.#waiting.splice(0, batch.length);
      entries.inc(batch.length);
      for (const [i, { timeMs }] of batch.entries()) this.#syslog?.send(timeMs, lines[i] ?? "");
    }
  }

  #warn(error: unknown): void {
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = performance.now();
    logger.error("the audit log cannot be written", { waiting: this.#waiting.length, error });
  }
}
