import type { DatabaseSync, StatementSync } from "node:sqlite";
import { machineOf, type Span } from "../../lib/latency/span.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { type Bounds, evict } from "./evict.ts";
import { fromRow, type StoredSummary, toRow } from "./rows.ts";
import { openDatabase } from "./schema.ts";
import { grow, type Origin, refusal, type Summary } from "./summary.ts";

/** The outcome of storing a batch of spans. */
interface Added {
  /** Spans over the bounds of their traces. */
  dropped: number;
  /** Why, each reason once. */
  readonly problems: Set<string>;
}

export interface Filter {
  /** Only traces with a span about this machine. */
  readonly machineId?: string;
  /** Only traces whose root's name begins with this. */
  readonly namePrefix?: string;
  /** Only traces of this organisation; absent: all. */
  readonly org?: string;
  /** At most this many. */
  readonly limit: number;
}

export interface StoredTrace {
  readonly summary: StoredSummary;
  /** Earliest first. */
  readonly spans: readonly { readonly json: string; readonly clientOrg: string | undefined }[];
}

/** The latest traces, on disk. A batch is one transaction. */
export class TraceStore {
  readonly #db: DatabaseSync;
  readonly #bounds: Bounds;
  readonly #clock: Clock;
  readonly #statements: ReturnType<typeof prepare>;

  /** @param dir made when it does not exist */
  constructor(dir: string, bounds: Bounds, clock: Clock) {
    this.#db = openDatabase(dir);
    this.#bounds = bounds;
    this.#clock = clock;
    this.#statements = prepare(this.#db);
  }

  /** Stores spans, updates the summaries of their traces, and evicts the oldest traces. */
  add(spans: readonly Span[], origin: Origin): Added {
    const added: Added = { dropped: 0, problems: new Set() };
    this.#db.exec("begin immediate");
    try {
      for (const [traceId, ofTrace] of Map.groupBy(spans, (span) => span.trace_id)) {
        this.#addToTrace(traceId, ofTrace, origin, added);
      }
      evict(this.#db, this.#bounds);
      this.#db.exec("commit");
      return added;
    } catch (err) {
      if (this.#db.isTransaction) this.#db.exec("rollback");
      throw err;
    }
  }

  list(filter: Filter): StoredSummary[] {
    const { machineId: machine = null, namePrefix: prefix = "", org = null, limit } = filter;
    return this.#statements.list.all({ machine, prefix, org, limit }).map(fromRow);
  }

  get(traceId: string): StoredTrace | undefined {
    const row = this.#statements.getTrace.get(traceId);
    if (!row) return undefined;
    const spans = this.#statements.getSpans.all(traceId).map((span) => ({
      json: String(span["body"]),
      clientOrg: span["client_org"] === null ? undefined : String(span["client_org"]),
    }));
    return { summary: fromRow(row), spans };
  }

  close(): void {
    this.#db.close();
  }

  #addToTrace(traceId: string, spans: readonly Span[], origin: Origin, added: Added): void {
    const row = this.#statements.getTrace.get(traceId);
    let summary: Summary | undefined = row && fromRow(row);
    let dropped = 0;
    for (const span of spans) {
      if (this.#statements.hasSpan.get(traceId, span.span_id)) continue;
      const body = JSON.stringify(span);
      const bytes = Buffer.byteLength(body);
      const problem = refusal(summary, bytes, origin);
      if (problem !== undefined) {
        added.problems.add(problem);
        dropped += 1;
        continue;
      }
      const clientOrg = origin.kind === "client" ? origin.org : null;
      this.#statements.putSpan.run(traceId, span.span_id, span.start_us, clientOrg, body);
      const machine = machineOf(span);
      if (machine !== undefined) this.#statements.putMachine.run(machine, traceId);
      summary = grow(summary, span, bytes, origin);
    }
    added.dropped += dropped;
    if (!summary) return;
    const total = { ...summary, dropped: summary.dropped + dropped, receivedMs: this.#clock.now() };
    this.#statements.putTrace.run(toRow(total));
  }
}

function prepare(db: DatabaseSync) {
  const statement = (sql: string): StatementSync => db.prepare(sql);
  return {
    getTrace: statement("select * from trace where trace_id = ?"),
    getSpans: statement("select client_org, body from span where trace_id = ? order by start_us, span_id"),
    hasSpan: statement("select 1 from span where trace_id = ? and span_id = ?"),
    putSpan: statement(
      "insert into span (trace_id, span_id, start_us, client_org, body) values (?, ?, ?, ?, ?)",
    ),
    putMachine: statement("insert or ignore into machine_trace (machine_id, trace_id) values (?, ?)"),
    putTrace: statement(`
      insert or replace into trace values (
        :trace_id, :root_name, :root_service, :root_start_us, :has_root, :start_us, :end_us, :spans, :bytes, :dropped,
        :client_spans, :about_machine, :owner, :client_owner, :received_ms)`),
    list: statement(`
      select * from trace
       where (:machine is null or trace_id in (select trace_id from machine_trace where machine_id = :machine))
         and substr(root_name, 1, length(:prefix)) = :prefix
         and (:org is null or coalesce(owner, client_owner) = :org)
       order by start_us desc, trace_id limit :limit`),
  };
}
