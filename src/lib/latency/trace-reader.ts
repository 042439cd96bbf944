import { statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Fault } from "../faults/fault.ts";
import type { Mark } from "./operation.ts";
import { fromRow, type StoredOperation } from "./operation-rows.ts";
import type { Span } from "./span.ts";
import { readSpans } from "./stored-spans.ts";
import { TABLES_VERSION } from "./tables.ts";
import { isSpanVisible, isVisible } from "./visibility.ts";

/** Where a reader is. */
export interface Cursor {
  readonly epoch: string;
  readonly operation: number;
  readonly removal: number;
  readonly mark: number;
}

/** What has changed since a cursor. */
export interface Changes {
  /** The begin of the next call. */
  readonly cursor: Cursor;
  /**
   * Whether everything that was read before is void: the receiver has another database, or the
   * reader came too late. `operations` and `marks` begin anew.
   */
  readonly isReset: boolean;
  /** New operations, in the order of their rows. */
  readonly operations: readonly StoredOperation[];
  /** Rows of operations that are gone. Some of them may never have been read. */
  readonly removed: readonly number[];
  readonly marks: readonly Mark[];
  /** Whether there is more than the limit allowed. */
  readonly isMore: boolean;
}

/** Spans of a trace, earliest first. */
export interface ReadTrace {
  readonly traceId: string;
  readonly spans: readonly Span[];
  /** Those that services sent: what operations are made of. Clients may send spans of any name and time. */
  readonly serviceSpans: readonly Span[];
  /** Spans over the bounds of a trace. */
  readonly droppedSpans: number;
  /** Whether its operations are known already. */
  readonly isSealed: boolean;
}

/** Counts of operations of a minute or an hour, of all that there was. */
export interface LatencyRow {
  /** Begin of the minute or the hour. */
  readonly timeMs: number;
  readonly org: string;
  readonly kind: string;
  readonly path: string;
  readonly failed: boolean;
  readonly count: number;
  readonly maxUs: number;
  /** See `decodeHistogram`. */
  readonly histogram: string;
}

export interface LatencyFilter {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** Minutes are kept for about a day, hours for months. */
  readonly step: "minute" | "hour";
  readonly kind?: string;
  /** Absent: all organisations. */
  readonly org?: string;
}

/** Spans that were lost. */
export interface Loss {
  readonly timeMs: number;
  /** The service that could not send them; `traces`: the receiver refused them. */
  readonly service: string;
  readonly spans: number;
}

/** Size of the store. */
export interface StoreState {
  readonly diskBytes: number;
  readonly traces: number;
  /** Traces whose operations are not known yet. */
  readonly unsealed: number;
  readonly operations: number;
}

/**
 * Reads the trace receiver's database from another process. Opens it when it is there, and again
 * when the receiver has replaced it. Reads take milliseconds: a long one would keep the receiver's
 * log from being emptied.
 *
 * Every method throws UNAVAILABLE / `TRACES_UNAVAILABLE` as long as there is no readable database.
 */
export class TraceReader {
  readonly #path: string;
  #open: { readonly db: DatabaseSync; readonly file: string } | undefined;

  /** @param dir the receiver's `TRACES_DIR` */
  constructor(dir: string) {
    this.#path = join(dir, "traces.db");
  }

  /**
   * Returns what changed since `cursor`, at most `limit` of each sort.
   *
   * @param cursor absent: from the beginning
   */
  changes(cursor: Cursor | undefined, limit: number): Changes {
    return this.#read((db) => {
      const epoch = String(one(db, "select value from state where name = 'epoch'"));
      const last = Number(one(db, "select seq from sqlite_sequence where name = 'removed'") ?? 0);
      const first = Number(one(db, "select min(seq) from removed") ?? last + 1);
      const isReset = cursor?.epoch !== epoch || cursor.removal + 1 < first;
      const from: Cursor = isReset ? { epoch, operation: 0, removal: last, mark: 0 } : cursor;
      const operations = db
        .prepare("select * from operation where row > ? order by row limit ?")
        .all(from.operation, limit)
        .map(fromRow);
      const removed = db
        .prepare("select seq, operation from removed where seq > ? order by seq limit ?")
        .all(from.removal, limit);
      const marks = db.prepare("select * from mark where row > ? order by row limit ?").all(from.mark, limit);
      return {
        cursor: {
          epoch,
          operation: operations.at(-1)?.row ?? from.operation,
          removal: Number(removed.at(-1)?.["seq"] ?? from.removal),
          mark: Number(marks.at(-1)?.["row"] ?? from.mark),
        },
        isReset,
        operations,
        removed: removed.map((row) => Number(row["operation"])),
        marks: marks.map(toMark),
        isMore: [operations, removed, marks].some((list) => list.length === limit),
      };
    });
  }

  /**
   * Returns a trace; undefined when it is not kept.
   *
   * @param org who reads, see `isVisible`; absent: an administrator
   */
  traceOf(traceId: string, org?: string): ReadTrace | undefined {
    return this.#read((db) => {
      const trace = db.prepare("select * from trace where trace_id = ?").get(traceId);
      if (!trace) return undefined;
      const owners = { owner: textOf(trace["owner"]), clientOwner: textOf(trace["client_owner"]) };
      if (org !== undefined && !isVisible(owners, org)) return undefined;
      const sent = readSpans(db, Number(trace["row"]))
        .filter((span) => org === undefined || isSpanVisible(span.clientOrg, org))
        .map(({ json, clientOrg }) => ({
          span: JSON.parse(json) as Span,
          isClients: clientOrg !== undefined,
        }));
      return {
        traceId,
        spans: sent.map(({ span }) => span),
        serviceSpans: sent.flatMap(({ span, isClients }) => (isClients ? [] : span)),
        droppedSpans: Number(trace["dropped"]),
        isSealed: trace["due_ms"] === null,
      };
    });
  }

  /** Returns the spans of a trace, earliest first; none when it is not kept. */
  spansOf(traceId: string, org?: string): readonly Span[] {
    return this.traceOf(traceId, org)?.spans ?? [];
  }

  /** Returns what there was before anything was evicted, earliest first. */
  latency(filter: LatencyFilter): readonly LatencyRow[] {
    const [table, column] = filter.step === "minute" ? ["latency", "minute_ms"] : ["latency_hour", "hour_ms"];
    const { sinceMs, untilMs, kind = null, org = null } = filter;
    return this.#read((db) =>
      db
        .prepare(
          `select *, ${column} as time_ms from ${table} where ${column} >= :sinceMs and ${column} < :untilMs
              and (:kind is null or kind = :kind) and (:org is null or org = :org) order by ${column}`,
        )
        .all({ sinceMs, untilMs, kind, org })
        .map(toLatency),
    );
  }

  /** Returns spans that were lost in a period, earliest first. */
  losses(sinceMs: number, untilMs: number): readonly Loss[] {
    return this.#read((db) =>
      db
        .prepare("select * from loss where time_ms >= ? and time_ms < ? order by time_ms")
        .all(sinceMs, untilMs)
        .map(toLoss),
    );
  }

  state(): StoreState {
    return this.#read((db) => ({
      diskBytes: ["", "-wal", "-shm"].reduce((sum, suffix) => sum + sizeOf(this.#path + suffix), 0),
      traces: Number(one(db, "select count(*) from trace")),
      unsealed: Number(one(db, "select count(*) from trace where due_ms is not null")),
      operations: Number(one(db, "select count(*) from operation")),
    }));
  }

  close(): void {
    this.#open?.db.close();
    this.#open = undefined;
  }

  /** Runs `read` on one state of the database. */
  #read<T>(read: (db: DatabaseSync) => T): T {
    try {
      const db = this.#database();
      db.exec("begin");
      try {
        return read(db);
      } finally {
        if (db.isTransaction) db.exec("commit");
      }
    } catch (cause) {
      // The next call opens what is there then.
      this.close();
      const facts = { path: this.#path };
      const message = `the traces in ${this.#path} cannot be read; does the trace receiver run?`;
      throw new Fault("UNAVAILABLE", "TRACES_UNAVAILABLE", message, facts, { cause });
    }
  }

  #database(): DatabaseSync {
    const file = identityOf(this.#path);
    if (this.#open?.file === file) return this.#open.db;
    this.close();
    const db = new DatabaseSync(this.#path, { readOnly: true, timeout: 1_000 });
    this.#open = { db, file };
    if (one(db, "pragma user_version") !== TABLES_VERSION)
      throw new Error("the database is of another version, or being made");
    if (identityOf(this.#path) !== file) throw new Error("the file was replaced while it was opened");
    return db;
  }
}

function identityOf(path: string): string {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function one(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

function textOf(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

function toMark(row: Readonly<Record<string, unknown>>): Mark {
  return {
    timeMs: Number(row["time_ms"]),
    kind: row["kind"] === "template" ? "template" : "version",
    label: String(row["label"]),
    host: String(row["host"]),
  };
}

function toLatency(row: Readonly<Record<string, unknown>>): LatencyRow {
  return {
    timeMs: Number(row["time_ms"]),
    org: String(row["org"]),
    kind: String(row["kind"]),
    path: String(row["path"]),
    failed: row["failed"] === 1,
    count: Number(row["count"]),
    maxUs: Number(row["max_us"]),
    histogram: String(row["histogram"]),
  };
}

function toLoss(row: Readonly<Record<string, unknown>>): Loss {
  return { timeMs: Number(row["time_ms"]), service: String(row["service"]), spans: Number(row["spans"]) };
}
