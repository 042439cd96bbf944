import { randomUUID } from "node:crypto";
import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** A change to write, with JSON in its text columns. */
export interface ChangeRow {
  readonly id: string;
  readonly generation: number;
  readonly state: string;
  readonly updatedMs: number;
  /** Absent when the spec has not changed. */
  readonly spec?: string;
  readonly status: string;
  readonly event?: string;
}

export interface MachineRow {
  readonly id: string;
  readonly spec: string;
  readonly status: string;
}

/** A change that no api has acknowledged. */
export interface OutboxRow {
  readonly sequence: number;
  readonly machineId: string;
  readonly status: string;
  readonly event: string | null;
}

/** Content of a database at its opening. */
export interface Opened {
  /** Random, never changes: tells two hosts with one number apart. */
  readonly identity: string;
  /** Number of openings, this one included. */
  readonly incarnation: number;
  readonly machines: readonly MachineRow[];
  readonly sequence: number;
  readonly acknowledged: number;
}

export type StoreRequest =
  | { readonly kind: "begin" }
  | { readonly kind: "commit"; readonly changes: readonly ChangeRow[] }
  | { readonly kind: "outbox"; readonly after: number; readonly limit: number }
  | { readonly kind: "acknowledge"; readonly sequence: number }
  | { readonly kind: "prune"; readonly beforeMs: number }
  | { readonly kind: "close" };

export interface StoreAnswers {
  readonly begin: Opened;
  readonly commit: number;
  readonly outbox: readonly OutboxRow[];
  readonly acknowledge: undefined;
  readonly prune: readonly string[];
  readonly close: undefined;
}

const VERSION = 1;
/** Characters of changes that are read at once. */
const MAX_OUTBOX_READ = 4 * 1024 * 1024;
const SCHEMA = `
  create table meta (key text primary key, value text not null) strict;
  create table machines (
    id text primary key, generation integer not null, state text not null, updated_ms integer not null,
    spec text not null, status text not null
  ) strict;
  create table outbox (
    sequence integer primary key autoincrement, machine_id text not null, status text not null, event text
  ) strict;
  create index outbox_machine on outbox (machine_id);
`;

/** The durable state of a host in a SQLite file. Synchronous: it runs in a thread of its own, see `store-worker.ts`. */
export class StoreDatabase {
  readonly #db: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #update: StatementSync;
  readonly #emit: StatementSync;

  /**
   * Opens or creates the database.
   *
   * @param maxPages limits its size, for tests of a full disk
   * @throws Error for operators: another hostd has it, it is damaged or no database, a newer hostd wrote it
   */
  constructor(path: string, maxPages?: number) {
    this.#db = open(path);
    if (maxPages !== undefined) this.#db.exec(`pragma max_page_count = ${Math.trunc(maxPages)}`);
    this.#upsert = this.#db.prepare(
      `insert into machines (id, generation, state, updated_ms, spec, status) values (?, ?, ?, ?, ?, ?)
       on conflict (id) do update
          set generation = excluded.generation, state = excluded.state, updated_ms = excluded.updated_ms,
              spec = excluded.spec, status = excluded.status
        where excluded.generation > machines.generation`,
    );
    this.#update = this.#db.prepare(
      "update machines set generation = ?, state = ?, updated_ms = ?, status = ? where id = ? and generation < ?",
    );
    this.#emit = this.#db.prepare("insert into outbox (machine_id, status, event) values (?, ?, ?)");
  }

  answer(request: StoreRequest): StoreAnswers[keyof StoreAnswers] {
    switch (request.kind) {
      case "begin":
        return this.begin();
      case "commit":
        return this.#commit(request.changes);
      case "outbox":
        return this.#outbox(request.after, request.limit);
      case "acknowledge":
        return this.#acknowledge(request.sequence);
      case "prune":
        return this.#prune(request.beforeMs);
      case "close":
        return this.close();
    }
  }

  /** Counts this opening, and returns the content. */
  begin(): Opened {
    return this.#transaction(() => {
      const incarnation = Number(this.#meta("incarnation") ?? "0") + 1;
      const identity = this.#meta("identity") ?? randomUUID();
      this.#setMeta("incarnation", String(incarnation));
      this.#setMeta("identity", identity);
      return {
        identity,
        incarnation,
        machines: this.#all<MachineRow>("select id, spec, status from machines"),
        sequence: this.#lastSequence(),
        acknowledged: Number(this.#meta("acknowledged") ?? "0"),
      };
    });
  }

  /** Writes changes and their outbox rows in one transaction. Returns the last sequence. */
  #commit(changes: readonly ChangeRow[]): number {
    return this.#transaction(() => {
      for (const { id, generation, state, updatedMs, spec, status, event } of changes) {
        // A retried change may come after a newer one, which it must not overwrite.
        if (spec === undefined) this.#update.run(generation, state, updatedMs, status, id, generation);
        else this.#upsert.run(id, generation, state, updatedMs, spec, status);
        this.#emit.run(id, status, event ?? null);
      }
      return this.#lastSequence();
    });
  }

  /** Reads the changes after a sequence: at most `limit`, and not many more bytes than are sent at once. */
  #outbox(after: number, limit: number): readonly OutboxRow[] {
    const rows: OutboxRow[] = [];
    let length = 0;
    const statement = this.#db.prepare(
      `select sequence, machine_id as machineId, status, event from outbox
        where sequence > ? order by sequence limit ?`,
    );
    for (const found of statement.iterate(after, limit)) {
      const row = found as unknown as OutboxRow;
      rows.push(row);
      length += row.status.length + (row.event?.length ?? 0);
      if (length > MAX_OUTBOX_READ) break;
    }
    return rows;
  }

  /** Deletes changes up to a sequence, which an api has acknowledged. */
  #acknowledge(sequence: number): undefined {
    this.#transaction(() => {
      this.#db.prepare("delete from outbox where sequence <= ?").run(sequence);
      this.#setMeta("acknowledged", String(sequence));
    });
  }

  /** Deletes machines destroyed before a time, unless they have changes in the outbox. Returns their ids. */
  #prune(beforeMs: number): readonly string[] {
    return this.#all<{ id: string }>(
      `delete from machines
        where state = 'destroyed' and updated_ms < ? and id not in (select machine_id from outbox)
    returning id`,
      beforeMs,
    ).map(({ id }) => id);
  }

  close(): undefined {
    this.#db.close();
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec("begin immediate");
    try {
      const result = work();
      this.#db.exec("commit");
      return result;
    } catch (err) {
      // SQLite rolls back by itself when the disk is full.
      if (this.#db.isTransaction) this.#db.exec("rollback");
      throw err;
    }
  }

  #lastSequence(): number {
    return this.#all<{ seq: number }>("select seq from sqlite_sequence where name = 'outbox'")[0]?.seq ?? 0;
  }

  #meta(key: string): string | undefined {
    return this.#all<{ value: string }>("select value from meta where key = ?", key)[0]?.value;
  }

  #setMeta(key: string, value: string): void {
    this.#db
      .prepare(
        "insert into meta (key, value) values (?, ?) on conflict (key) do update set value = excluded.value",
      )
      .run(key, value);
  }

  #all<Row>(sql: string, ...values: (string | number)[]): readonly Row[] {
    // The statement beside each use has the columns of its Row.
    return this.#db.prepare(sql).all(...values) as unknown as readonly Row[];
  }
}

function open(path: string): DatabaseSync {
  // SQLite's other files get the mode of this one.
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
  const db = new DatabaseSync(path, { timeout: 500 });
  try {
    // Exclusive: keeps a second hostd out of the directory.
    db.exec("pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full");
    check(db, path);
    migrate(db, path);
    return db;
  } catch (err) {
    db.close();
    throw explain(err, path);
  }
}

function check(db: DatabaseSync, path: string): void {
  const [first] = db.prepare("pragma quick_check(1)").all();
  const result = String(first?.["quick_check"]);
  if (result !== "ok") throw new Error(damaged(path, result));
}

function migrate(db: DatabaseSync, path: string): void {
  const version = Number(db.prepare("pragma user_version").get()?.["user_version"]);
  if (version > VERSION) {
    throw new Error(
      `${path} was written by a newer hostd (schema ${version}, this one knows ${VERSION}): run that one`,
    );
  }
  if (version === 0) db.exec(`begin immediate; ${SCHEMA} pragma user_version = ${VERSION}; commit`);
}

function explain(err: unknown, path: string): Error {
  const code = err instanceof Error && "errcode" in err ? Number(err.errcode) & 0xff : 0;
  if (code === SQLITE_BUSY) {
    return new Error(`${path} is in use: another hostd runs with this HOSTD_DIR`, { cause: err });
  }
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB)
    return new Error(damaged(path, "unreadable"), { cause: err });
  return err instanceof Error ? err : new Error(String(err));
}

function damaged(path: string, why: string): string {
  return `${path} is damaged (${why}) and holds the state of this host's machines. Nothing was changed. Restore it from a backup, or move it away to start this host empty, without its machines`;
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
export const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
