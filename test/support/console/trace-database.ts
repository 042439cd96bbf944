import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { encodeHistogram, newHistogram, recordDuration } from "../../../src/lib/latency/histogram.ts";
import type { Mark, Operation } from "../../../src/lib/latency/operation.ts";
import { toRow } from "../../../src/lib/latency/operation-rows.ts";
import { packSpans } from "../../../src/lib/latency/packed-spans.ts";
import type { Span } from "../../../src/lib/latency/span.ts";
import { TABLES, TABLES_VERSION } from "../../../src/lib/latency/tables.ts";

/** A span, and the organisation whose client sent it. */
export type SentSpan = Span & { readonly clientOrg?: string };

const MINUTE_MS = 60_000;

/** A database as the trace receiver writes it, for tests of what reads it. */
export class TraceDatabase {
  readonly dir: string;
  readonly #db: DatabaseSync;
  /** Durations that were counted, by minute and the rest of a count's key. */
  readonly #counted = new Map<string, number[]>();

  constructor(dir: string) {
    this.dir = dir;
    mkdirSync(dir, { recursive: true });
    this.#db = new DatabaseSync(join(dir, "traces.db"));
    this.#db.exec(`pragma journal_mode = wal; ${TABLES} pragma user_version = ${TABLES_VERSION}`);
    this.#db.prepare("insert into state values ('epoch', ?)").run(String(Math.random()));
  }

  /** Adds operations, and counts them by minutes. Rows are given by the database. */
  addOperations(operations: readonly (Operation & { readonly row?: number })[]): void {
    this.#db.exec("begin");
    for (const operation of operations) {
      const { row: _, ...fields } = toRow(operation);
      this.#insert("operation", fields);
    }
    this.#count(operations);
    this.#db.exec("commit");
  }

  /** Adds a sealed trace. @param owner undefined: no service has named one */
  addTrace(spans: readonly SentSpan[], owner: string | undefined): void {
    const [first] = spans;
    if (!first) return;
    const ends = spans.map(({ start_us, duration_us }) => start_us + duration_us);
    const { lastInsertRowid } = this.#insert("trace", {
      ...{ trace_id: first.trace_id, root_name: first.name, root_service: first.service },
      ...{ root_start_us: first.start_us, has_root: 1, start_us: first.start_us, end_us: Math.max(...ends) },
      ...{ spans: spans.length, bytes: 1, dropped: 0, client_spans: 0, about_machine: 1 },
      ...{ owner: owner ?? null, client_owner: null, received_ms: 1, opened_ms: 1, due_ms: null },
      ...{ tier: "sample", rank: 0 },
    });
    const stored = spans.map(({ clientOrg, ...span }) => ({ json: JSON.stringify(span), clientOrg }));
    this.#insert("packed", { trace: lastInsertRowid, spans: packSpans(stored) });
  }

  /** Adds many sealed traces at once. */
  addTraces(traces: readonly { readonly spans: readonly SentSpan[]; readonly org: string }[]): void {
    this.#db.exec("begin");
    for (const { spans, org } of traces) this.addTrace(spans, org);
    this.#db.exec("commit");
  }

  addMark({ timeMs, kind, label, host }: Mark): void {
    this.#insert("mark", { time_ms: timeMs, kind, label, host });
  }

  addLoss(timeMs: number, spans: number): void {
    this.#insert("loss", { time_ms: timeMs, service: "hostd", spans });
  }

  /** Removes operations, as the receiver does when it evicts their traces. */
  evict(rows: readonly number[]): void {
    this.#db.exec("begin");
    for (const row of rows) {
      this.#db.prepare("delete from operation where row = ?").run(row);
      this.#insert("removed", { operation: row });
    }
    this.#db.exec("commit");
  }

  close(): void {
    this.#db.close();
  }

  #count(operations: readonly Operation[]): void {
    const keyOf = ({ startUs, org, kind, path, reason }: Operation) =>
      JSON.stringify([
        Math.floor(startUs / 1_000 / MINUTE_MS) * MINUTE_MS,
        org,
        kind,
        path,
        reason === "" ? 0 : 1,
      ]);
    for (const [key, ofOne] of Map.groupBy(operations, keyOf)) {
      const [minuteMs, org, kind, path, failed] = JSON.parse(key);
      const durations = this.#counted.get(key) ?? [];
      this.#counted.set(key, durations);
      for (const { durationUs } of ofOne) durations.push(durationUs);
      const histogram = newHistogram();
      for (const durationUs of durations) recordDuration(histogram, durationUs);
      this.#insert("latency", {
        ...{ minute_ms: minuteMs, org, kind, path, failed, count: durations.length },
        max_us: durations.reduce((most, each) => Math.max(most, each)),
        histogram: encodeHistogram(histogram),
      });
    }
  }

  #insert(table: string, fields: Readonly<Record<string, string | number | bigint | null | Uint8Array>>) {
    const names = Object.keys(fields);
    const places = names.map(() => "?").join(", ");
    return this.#db
      .prepare(`insert or replace into ${table} (${names.join(", ")}) values (${places})`)
      .run(...Object.values(fields));
  }
}
