import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock } from "../../lib/runtime/clock.ts";
import { machineOf, type Span } from "../domain/span.ts";
import { grow, type Origin, refusal, type Summary } from "../domain/summary.ts";
import { type Bounds, evict } from "./evict.ts";
import { type SummaryRow, toSummary } from "./rows.ts";
import { openDatabase } from "./schema.ts";

/** What became of a batch of spans. */
export interface Kept {
  /** Spans that were new. */
  readonly added: number;
  /** Spans that had arrived before. */
  readonly repeated: number;
  /** Spans that were over the bounds of their trace, and why. */
  readonly dropped: number;
  readonly problems: readonly string[];
}

/** Which traces to list. */
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

/** A trace in full. */
export interface StoredTrace {
  readonly summary: Summary;
  /** When its last span arrived, in milliseconds since the epoch. */
  readonly receivedMs: number;
  /** Earliest first. */
  readonly spans: readonly { readonly json: string; readonly clientOrg: string | undefined }[];
}

/** The last traces, on disk. One batch is one transaction: it is there in full or not at all. */
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

  /** Keeps spans, merging them into what is known of their traces, and lets go of the oldest traces beyond the bounds. */
  add(spans: readonly Span[], origin: Origin): Kept {
    const problems = new Set<string>();
    const counts = { added: 0, repeated: 0, dropped: 0 };
    this.#db.exec("begin immediate");
    try {
      for (const [traceId, ofTrace] of Map.groupBy(spans, (span) => span.trace_id)) {
        this.#addToTrace(traceId, ofTrace, origin, counts, problems);
      }
      evict(this.#db, this.#bounds);
      this.#db.exec("commit");
    } catch (err) {
      if (this.#db.isTransaction) this.#db.exec("rollback");
      throw err;
    }
    return { ...counts, problems: [...problems] };
  }

  /** The newest traces first. */
  list(filter: Filter): (Summary & { readonly receivedMs: number })[] {
    const prefix = filter.namePrefix ?? "";
    const rows = this.#statements.list.all({
      machine: filter.machineId ?? null,
      prefix,
      org: filter.org ?? null,
      limit: filter.limit,
    });
    return rows.map(toSummary);
  }

  /** One trace with its spans, or undefined. */
  get(traceId: string): StoredTrace | undefined {
    const row = this.#statements.getTrace.get(traceId);
    if (!row) return undefined;
    const summary = toSummary(row);
    const spans = this.#statements.getSpans.all(traceId).map((span) => ({
      json: String(span["body"]),
      clientOrg: span["client_org"] === null ? undefined : String(span["client_org"]),
    }));
    return { summary, receivedMs: summary.receivedMs, spans };
  }

  close(): void {
    this.#db.close();
  }

  #addToTrace(
    traceId: string,
    spans: readonly Span[],
    origin: Origin,
    counts: { added: number; repeated: number; dropped: number },
    problems: Set<string>,
  ): void {
    const row = this.#statements.getTrace.get(traceId);
    let summary: Summary | undefined = row && toSummary(row);
    let dropped = 0;
    for (const span of spans) {
      const body = JSON.stringify(span);
      const bytes = Buffer.byteLength(body);
      if (this.#statements.hasSpan.get(traceId, span.span_id)) {
        counts.repeated += 1;
        continue;
      }
      const problem = refusal(summary, bytes, origin);
      if (problem !== undefined) {
        problems.add(problem);
        dropped += 1;
        continue;
      }
      const clientOrg = origin.kind === "client" ? origin.org : null;
      this.#statements.putSpan.run(traceId, span.span_id, span.start_us, clientOrg, body);
      const machine = machineOf(span);
      if (machine !== undefined) this.#statements.putMachine.run(machine, traceId);
      summary = grow(summary, span, bytes, origin);
      counts.added += 1;
    }
    counts.dropped += dropped;
    if (summary) this.#statements.putTrace.run(toRow(summary, dropped, this.#clock.now()));
  }
}

function toRow(s: Summary, dropped: number, receivedMs: number): SummaryRow {
  return {
    trace_id: s.traceId,
    root_name: s.rootName,
    root_service: s.rootService,
    root_start_us: s.rootStartUs,
    has_root: s.hasRoot ? 1 : 0,
    start_us: s.startUs,
    end_us: s.endUs,
    spans: s.spans,
    bytes: s.bytes,
    dropped: s.dropped + dropped,
    client_spans: s.clientSpans,
    about_machine: s.aboutMachine ? 1 : 0,
    owner: s.owner ?? null,
    client_owner: s.clientOwner ?? null,
    received_ms: receivedMs,
  };
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
