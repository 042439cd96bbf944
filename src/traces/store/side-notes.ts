import type { DatabaseSync } from "node:sqlite";
import type { Mark } from "../../lib/latency/operation.ts";
import type { Span } from "../../lib/latency/span.ts";

const DROPPED_SPAN = "telemetry.dropped";
const DROPPED = "windhover.spans.dropped";
/** A template that a host has built, and the shape of its VMs. */
const TEMPLATE_SPAN = "hostd.template";
const SHAPE = "windhover.template.shape";
const HOST = "windhover.host.name";
/** The receiver, in the table `loss`. */
const RECEIVER = "traces";
/** Losses of a service within this time are one row. */
const LOSS_STEP_MS = 60_000;
/** Processes whose versions are known; the first go first. */
const MAX_PROCESSES = 10_000;
const MAX_TEXT = 256;
/** Largest loss that one span can tell of. */
const MAX_LOST = 1_000_000_000;

/** Marks and losses, as spans of services tell of them. Runs in the caller's transaction. */
export class SideNotes {
  readonly #statements: ReturnType<typeof prepare>;
  /** Version by service and instance. */
  readonly #versions = new Map<string, string>();
  readonly #isKnown;

  constructor(db: DatabaseSync) {
    this.#statements = prepare(db);
    this.#isKnown = db.prepare("select value from state where name = ?");
  }

  /** Takes note of a span of a service. */
  see(span: Span): void {
    if (span.service_version !== undefined) this.#seeVersion(span, span.service_version);
    if (span.name === DROPPED_SPAN) {
      const spans = span.attributes[DROPPED];
      if (typeof spans !== "number" || !(spans > 0)) return;
      this.lose(endMs(span), span.service, Math.min(MAX_LOST, Math.floor(spans)));
    } else if (span.name === TEMPLATE_SPAN && span.status !== "error") {
      const label = textOf(span.attributes[SHAPE]);
      this.#mark({ timeMs: endMs(span), kind: "template", label, host: textOf(span.attributes[HOST]) });
    }
  }

  /** Notes that the receiver refused spans. */
  refused(nowMs: number, spans: number): void {
    if (spans > 0) this.lose(nowMs, RECEIVER, spans);
  }

  lose(timeMs: number, service: string, spans: number): void {
    const { changes } = this.#statements.addLoss.run(spans, service, timeMs - LOSS_STEP_MS, timeMs);
    if (changes === 0) this.#statements.putLoss.run(timeMs, service, spans);
  }

  /** Forgets what was not written, after a rollback. */
  reset(): void {
    this.#versions.clear();
  }

  #seeVersion(span: Span, version: string): void {
    const process = `${span.service} ${span.instance ?? ""}`;
    if (this.#versions.get(process) === version) return;
    const host = textOf(span.attributes[HOST]);
    // Not all spans of a host name it.
    if (span.service === "hostd" && host === "") return;
    this.#versions.delete(process);
    this.#versions.set(process, version);
    const oldest = this.#versions.keys().next().value;
    if (this.#versions.size > MAX_PROCESSES && oldest !== undefined) this.#versions.delete(oldest);
    const key = `version ${process}`;
    if (this.#isKnown.get(key)?.["value"] === version) return;
    this.#statements.putState.run(key, version);
    this.#mark({ timeMs: span.start_us / 1_000, kind: "version", label: `${span.service} ${version}`, host });
  }

  #mark({ timeMs, kind, label, host }: Mark): void {
    this.#statements.putMark.run(Math.floor(timeMs), kind, label, host);
  }
}

function endMs(span: Span): number {
  return Math.floor((span.start_us + span.duration_us) / 1_000);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MAX_TEXT) : "";
}

function prepare(db: DatabaseSync) {
  return {
    putState: db.prepare("insert or replace into state (name, value) values (?, ?)"),
    putMark: db.prepare("insert into mark (time_ms, kind, label, host) values (?, ?, ?, ?)"),
    addLoss: db.prepare(
      `update loss set spans = spans + ? where row = (select max(row) from loss where service = ?)
          and time_ms between ? and ?`,
    ),
    putLoss: db.prepare("insert into loss (time_ms, service, spans) values (?, ?, ?)"),
  };
}
