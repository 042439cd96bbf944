import { counter } from "../otel/metrics.ts";
import { untraced } from "../otel/untraced.ts";
import { startLoop } from "../runtime/lifecycle.ts";
import { logger } from "../runtime/log.ts";
import { endsWithin } from "../runtime/wait.ts";
import type { AuditEntry } from "./audit-entry.ts";
import type { OtlpCollector } from "./otlp-collector.ts";

const SEND_MS = 500;
const WARN_EVERY_MS = 60_000;
/** Entries that wait for the collector; some 5 MB. */
const MAX_WAITING = 10_000;
/** Entries of a request; writing them takes milliseconds of the service's own thread. */
const MAX_BATCH = 256;
const CLOSE_LIMIT_MS = 4_000;

const lost = counter(
  "windhover_audit_otlp_dropped_total",
  "Entries that the collector of `AUDIT_OTLP` did not get: it was away for long, or refused them.",
);

/** Sends entries to an OpenTelemetry collector, in the background. While it is away entries wait, up to a bound. */
export class OtlpExport {
  readonly #url: string;
  readonly #service: string;
  readonly #stop: () => Promise<void>;
  #collector: OtlpCollector | undefined;
  #waiting: AuditEntry[] = [];
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(url: string, service: string) {
    this.#url = url;
    this.#service = service;
    this.#stop = startLoop(SEND_MS, 0, () => this.#send(), { name: "export audit log" });
  }

  add(entry: AuditEntry): void {
    if (this.#waiting.length >= MAX_WAITING) lost.inc();
    else this.#waiting.push(entry);
  }

  /** Sends what waits, for some seconds at most. */
  async close(): Promise<void> {
    const stopped = this.#stop();
    await endsWithin(
      CLOSE_LIMIT_MS,
      stopped.then(() => this.#send()),
    );
    lost.inc(this.#waiting.length);
    this.#waiting = [];
    await this.#collector?.close();
  }

  async #send(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      const collector = await this.#open();
      const { outcome, error } = await untraced(() => collector.send(batch));
      if (outcome !== "sent") this.#warn(error);
      if (outcome === "away") return;
      if (outcome === "refused") lost.inc(batch.length);
      this.#waiting.splice(0, batch.length);
    }
  }

  /** Loads what is needed with the first entry: a service that has no collector never does. */
  async #open(): Promise<OtlpCollector> {
    const { OtlpCollector } = await import("./otlp-collector.ts");
    this.#collector ??= new OtlpCollector(this.#url, this.#service);
    return this.#collector;
  }

  #warn(error: Error | undefined): void {
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = performance.now();
    const facts = { waiting: this.#waiting.length, reason: error?.message };
    logger.warn("entries of the audit log could not be exported", facts);
  }
}
