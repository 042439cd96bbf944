import { randomUUID } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** A change as it is written: JSON is made where the objects are, so the writer only moves text. */
export interface ChangeRow {
  readonly id: string;
  readonly generation: number;
  readonly state: string;
  readonly updatedMs: number;
  /** Absent when the machine's spec is as it was. */
  readonly spec?: string;
  readonly status: string;
  readonly event?: string;
}

/** A machine as it was found. */
export interface MachineRow {
  readonly id: string;
  readonly spec: string;
  readonly status: string;
}

/** A change that has not been acknowledged by an api. */
export interface OutboxRow {
  readonly sequence: number;
  readonly machineId: string;
  readonly status: string;
  readonly event: string | null;
}

/** What is found when the database is opened. */
export interface Opened {
  /** Made at the first start, kept for ever: tells two hosts with one number apart. */
  readonly identity: string;
  /** How many times the database has been opened, this time included. */
  readonly incarnation: number;
  readonly machines: readonly MachineRow[];
  readonly sequence: number;
  readonly acknowledged: number;
}

const VERSION = 1;
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

/** hostd's durable state: one SQLite file. Synchronous, so it lives in a thread of its own; see `store-worker.ts`. */
export class StoreDatabase {
  readonly #db: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #update: StatementSync;
  readonly #emit: StatementSync;

  /**
   * Opens, or makes, the database.
   *
   * @param maxPages limits its size, for tests of a full disk
   * @throws Error that says what is wrong and what to do: another hostd, not a database, damaged, of a newer version
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

  /** Begins a life of the host: counts it, and returns all that is known. */
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

  /** Writes changes and their outbox rows, all or none. Returns the last sequence. */
  commit(changes: readonly ChangeRow[]): number {
    return this.#transaction(() => {
      for (const { id, generation, state, updatedMs, spec, status, event } of changes) {
        // A change that had to be tried again may come after a newer one; it must not take that back.
        if (spec === undefined) this.#update.run(generation, state, updatedMs, status, id, generation);
        else this.#upsert.run(id, generation, state, updatedMs, spec, status);
        this.#emit.run(id, status, event ?? null);
      }
      return this.#lastSequence();
    });
  }

  /** The oldest changes after a sequence. */
  outbox(after: number, limit: number): readonly OutboxRow[] {
    return this.#all<OutboxRow>(
      `select sequence, machine_id as machineId, status, event from outbox
        where sequence > ? order by sequence limit ?`,
      after,
      limit,
    );
  }

  /** Forgets changes up to a sequence: an api has them. */
  acknowledge(sequence: number): void {
    this.#transaction(() => {
      this.#db.prepare("delete from outbox where sequence <= ?").run(sequence);
      this.#setMeta("acknowledged", String(sequence));
    });
  }

  /** Forgets machines destroyed before a time of which the apis know all; returns their ids. */
  prune(beforeMs: number): readonly string[] {
    return this.#all<{ id: string }>(
      `delete from machines
        where state = 'destroyed' and updated_ms < ? and id not in (select machine_id from outbox)
    returning id`,
      beforeMs,
    ).map(({ id }) => id);
  }

  close(): void {
    this.#db.close();
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec("begin immediate");
    try {
      const result = work();
      this.#db.exec("commit");
      return result;
    } catch (err) {
      // A full disk may have rolled it back already.
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
    // node:sqlite types rows as records of any column; the statement beside each use says which.
    return this.#db.prepare(sql).all(...values) as unknown as readonly Row[];
  }
}

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 500 });
  try {
    // Exclusive: a second hostd on one directory would ruin both.
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
  const verdict = String(first?.["quick_check"]);
  if (verdict !== "ok") throw new Error(damaged(path, verdict));
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

function damaged(path: string, verdict: string): string {
  return `${path} is damaged (${verdict}) and holds the state of this host's machines. Nothing was changed. Restore it from a backup, or move it away to start this host empty: its machines are lost then`;
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
/** Primary result code of SQLite when there is no room left. */
export const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
