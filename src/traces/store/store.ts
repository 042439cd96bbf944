import type { DatabaseSync } from "node:sqlite";
import type { StoredSpan } from "../../lib/latency/packed-spans.ts";
import { machineOf, type Span } from "../../lib/latency/span.ts";
import { readSpans } from "../../lib/latency/stored-spans.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { type Bounds, Retention } from "./retention.ts";
import { COLUMNS, type EncodedSpan, fromRow, type StoredSummary, toRow } from "./rows.ts";
import { openDatabase } from "./schema.ts";
import { Sealing } from "./sealing.ts";
import { SideNotes } from "./side-notes.ts";
import { grow, type Origin, provisionalTier, refusal, type Summary } from "./summary.ts";
import { slowestOf } from "./tiers.ts";

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
  readonly spans: readonly StoredSpan[];
}

/** A trace whose root is there is sealed when nothing came for so long. */
const QUIET_MS = 3_000;
/** The same for a trace without a root: somebody else may have it. */
const ROOTLESS_QUIET_MS = 15_000;
/** A trace is sealed at this age whatever comes, and then anew. */
const MAX_OPEN_MS = 300_000;
/** Traces that are sealed in one transaction. */
const SEAL_BATCH = 32;
const PRUNE_EVERY_MS = 60_000;

/** The id of a span in its JSON, where it comes before those of links. */
const SPAN_ID = /"span_id":"([0-9a-f]{16})"/;

/** Traces on disk. A batch is one transaction. */
export class TraceStore {
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #sealing: Sealing;
  readonly #retention: Retention;
  readonly #notes: SideNotes;
  #prunedMs = Number.NEGATIVE_INFINITY;

  /**
   * @param dir made when it does not exist
   * @param random from 0 to 1, without 1
   */
  constructor(dir: string, bounds: Bounds, clock: Clock, random: () => number = Math.random) {
    this.#db = openDatabase(dir);
    this.#clock = clock;
    this.#statements = prepare(this.#db);
    this.#sealing = new Sealing(this.#db, slowestOf(bounds.keep));
    this.#notes = new SideNotes(this.#db);
    const seal = (trace: StoredSummary) => this.#seal(trace);
    this.#retention = new Retention(this.#db, bounds, this.#sealing, seal, random);
  }

  /**
   * Stores spans, updates the summaries of their traces, and evicts traces.
   *
   * @param refused spans of the request that were not even read
   */
  add(spans: readonly EncodedSpan[], origin: Origin, refused = 0): Added {
    const added: Added = { dropped: 0, problems: new Set() };
    if (spans.length === 0 && refused === 0) return added;
    this.#transact(() => {
      for (const [traceId, ofTrace] of Map.groupBy(spans, ({ span }) => span.trace_id)) {
        this.#addToTrace(traceId, ofTrace, origin, added);
      }
      if (origin.kind === "service") this.#notes.refused(this.#clock.now(), added.dropped + refused);
      this.#retention.enforce();
      this.#sealing.counts.flush();
    });
    return added;
  }

  /**
   * Seals traces that are due, in a short transaction.
   *
   * @returns whether more are due
   */
  sealDue(): boolean {
    const nowMs = this.#clock.now();
    // Far ahead: the clock was set back.
    const due = this.#statements.due.all(nowMs, nowMs + 2 * MAX_OPEN_MS, SEAL_BATCH).map(fromRow);
    if (due.length > 0) this.#sealAll(due);
    if (Math.abs(nowMs - this.#prunedMs) >= PRUNE_EVERY_MS) {
      this.#transact(() => {
        this.#sealing.counts.prune(nowMs);
        this.#retention.prune();
      });
      this.#prunedMs = nowMs;
    }
    return due.length === SEAL_BATCH;
  }

  list(filter: Filter): StoredSummary[] {
    const { machineId: machine, namePrefix: prefix = "", org = null, limit } = filter;
    const { list, listOfMachine } = this.#statements;
    const rows =
      machine === undefined
        ? list.all({ prefix, org, limit })
        : listOfMachine.all({ machine, prefix, org, limit });
    return rows.map(fromRow);
  }

  get(traceId: string): StoredTrace | undefined {
    const row = this.#statements.getTrace.get(traceId);
    if (!row) return undefined;
    const summary = fromRow(row);
    return { summary, spans: readSpans(this.#db, summary.row) };
  }

  close(): void {
    this.#db.close();
  }

  #transact(run: () => void): void {
    this.#db.exec("begin immediate");
    try {
      run();
      this.#db.exec("commit");
    } catch (err) {
      if (this.#db.isTransaction) this.#db.exec("rollback");
      this.#sealing.counts.reset();
      this.#notes.reset();
      this.#retention.recount();
      throw err;
    }
  }

  #addToTrace(traceId: string, spans: readonly EncodedSpan[], origin: Origin, added: Added): void {
    const stored = this.#statements.getTrace.get(traceId);
    const before = stored && fromRow(stored);
    const isNew = before && before.dueMs === undefined ? this.#unknownIn(before) : () => true;
    const fresh = spans.filter(({ span }) => isNew(span.span_id));
    if (fresh.length === 0) return;
    if (before && before.dueMs === undefined) this.#reopen(before);
    const row = before?.row ?? this.#nextRow();
    let summary: Summary | undefined = before;
    let dropped = 0;
    for (const { span, json } of fresh) {
      const bytes = Buffer.byteLength(json);
      const problem = refusal(summary, bytes, origin);
      if (problem !== undefined) {
        if (this.#statements.hasSpan.get(row, span.span_id)) continue;
        added.problems.add(problem);
        dropped += 1;
        continue;
      }
      const clientOrg = origin.kind === "client" ? origin.org : null;
      const { changes } = this.#statements.putSpan.run(row, span.span_id, span.start_us, clientOrg, json);
      if (changes === 0) continue;
      const machine = machineOf(span);
      if (machine !== undefined) this.#statements.putMachine.run(machine, row);
      if (origin.kind === "service") this.#notes.see(span);
      summary = grow(summary, span, bytes, origin);
    }
    added.dropped += dropped;
    if (summary) this.#put(row, before, { ...summary, dropped: summary.dropped + dropped });
  }

  /** Stores the summary of a trace that spans were added to. */
  #put(row: number, before: StoredSummary | undefined, summary: Summary): void {
    const nowMs = this.#clock.now();
    const openedMs = before?.dueMs === undefined ? nowMs : before.openedMs;
    const quietMs = summary.hasRoot ? QUIET_MS : ROOTLESS_QUIET_MS;
    const after = {
      ...summary,
      ...{ receivedMs: nowMs, openedMs, rank: nowMs, tier: provisionalTier(summary) },
      dueMs: Math.min(nowMs + quietMs, openedMs + MAX_OPEN_MS),
    };
    this.#statements.putTrace.run(row, ...toRow(after));
    this.#retention.moved(before, after);
  }

  /** Returns a test for spans that a sealed trace does not have. */
  #unknownIn(trace: StoredSummary): (spanId: string) => boolean {
    const known = new Set(readSpans(this.#db, trace.row).map(({ json }) => SPAN_ID.exec(json)?.[1]));
    return (spanId) => !known.has(spanId);
  }

  /** Unpacks the spans of a sealed trace, which will be sealed anew. */
  #reopen({ row }: StoredSummary): void {
    for (const { json, clientOrg } of readSpans(this.#db, row)) {
      // Written from a span.
      const { span_id, start_us }: Span = JSON.parse(json);
      this.#statements.putSpan.run(row, span_id, start_us, clientOrg ?? null, json);
    }
    this.#statements.removePacked.run(row);
  }

  /** Seals traces together, or one by one when that fails: one that cannot be sealed holds up no others. */
  #sealAll(traces: readonly StoredSummary[]): void {
    try {
      this.#transact(() => {
        for (const trace of traces) this.#seal(trace);
        this.#sealing.counts.flush();
      });
    } catch (error) {
      if (traces.length > 1) {
        for (const trace of traces) this.#sealAll([trace]);
        return;
      }
      for (const { traceId, row } of traces) {
        logger.error("a trace could not be sealed; another try comes later", { traced: traceId, error });
        this.#transact(() => this.#statements.setDue.run(this.#clock.now() + MAX_OPEN_MS, row));
      }
    }
  }

  #seal(trace: StoredSummary): void {
    const { tier, displaced } = this.#sealing.seal(trace, readSpans(this.#db, trace.row));
    const after: StoredSummary = { ...trace, tier, dueMs: undefined };
    this.#statements.setTier.run(tier, null, trace.row);
    this.#retention.moved(trace, after);
    for (const row of displaced) this.#displace(row);
  }

  /** Lets a trace that is among the slowest no longer grow old like others. */
  #displace(row: number): void {
    const stored = this.#statements.getTraceInRow.get(row);
    const trace = stored && fromRow(stored);
    if (trace?.tier !== "slow") return;
    this.#statements.setTier.run("recent", null, row);
    this.#retention.moved(trace, { ...trace, tier: "recent" });
  }

  #nextRow(): number {
    return Number(this.#statements.lastRow.get()?.["row"] ?? 0) + 1;
  }
}

function prepare(db: DatabaseSync) {
  const matches = `substr(root_name, 1, length(:prefix)) = :prefix
      and (:org is null or coalesce(owner, client_owner) = :org) order by start_us desc, trace_id limit :limit`;
  return {
    getTrace: db.prepare("select * from trace where trace_id = ?"),
    getTraceInRow: db.prepare("select * from trace where row = ?"),
    lastRow: db.prepare("select max(row) as row from trace"),
    hasSpan: db.prepare("select 1 from span where trace = ? and span_id = ?"),
    putSpan: db.prepare(
      "insert or ignore into span (trace, span_id, start_us, client_org, body) values (?, ?, ?, ?, ?)",
    ),
    putMachine: db.prepare("insert or ignore into machine_trace (machine_id, trace) values (?, ?)"),
    putTrace: db.prepare(
      `insert into trace (row, ${COLUMNS.join()}) values (?, ${COLUMNS.map(() => "?").join()})
        on conflict (row) do update set ${COLUMNS.slice(1)
          .map((column) => `${column} = excluded.${column}`)
          .join()}`,
    ),
    removePacked: db.prepare("delete from packed where trace = ?"),
    setTier: db.prepare("update trace set tier = ?, due_ms = ? where row = ?"),
    setDue: db.prepare("update trace set due_ms = ? where row = ?"),
    due: db.prepare("select * from trace where due_ms <= ? or due_ms > ? order by due_ms limit ?"),
    list: db.prepare(`select * from trace where ${matches}`),
    listOfMachine: db.prepare(
      `select * from trace where row in (select trace from machine_trace where machine_id = :machine) and ${matches}`,
    ),
  };
}
