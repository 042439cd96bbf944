import { randomUUID } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { openDatabase, SEALED_VERSION, VERSION } from "./database-file.ts";

/** A change to write, with JSON in its text columns. */
export interface ChangeRow {
  readonly id: string;
  readonly generation: number;
  readonly state: string;
  readonly updatedMs: number;
  /** Absent when the spec has not changed. */
  readonly spec?: string;
  /** Whether the configuration is new: the change is reported with the spec. */
  readonly isWhole: boolean;
  /** Without events. */
  readonly status: string;
  /** The latest events, of which `event` is the first if there is one. */
  readonly events: string;
  readonly event?: string;
}

export interface MachineRow {
  readonly id: string;
  readonly spec: string;
  /** With events. */
  readonly status: string;
}

/** A spec to replace with one that is sealed. */
export type SealedRow = Pick<MachineRow, "id" | "spec">;

/** A spec of a change that no api has acknowledged. */
export interface OutboxSpec {
  readonly sequence: number;
  readonly machineId: string;
  readonly spec: string;
}

/** A change that no api has acknowledged. */
export interface OutboxRow {
  readonly sequence: number;
  readonly machineId: string;
  /** Earlier versions have written it with events. */
  readonly status: string;
  readonly event: string | null;
  /** Set when the configuration is new. */
  readonly spec: string | null;
}

/** Content of a database at its opening. */
export interface Opened {
  /** Random, never changes: tells two hosts with one number apart. */
  readonly identity: string;
  /** Number of openings, this one included. */
  readonly incarnation: number;
  readonly machines: readonly MachineRow[];
  /** Whether the specs are from a version that did not seal them. */
  readonly isPlain: boolean;
  readonly sequence: number;
  readonly acknowledged: number;
}

export type StoreRequest =
  | { readonly kind: "begin" }
  | { readonly kind: "commit"; readonly changes: readonly ChangeRow[] }
  | { readonly kind: "outbox"; readonly after: number; readonly limit: number }
  | { readonly kind: "acknowledge"; readonly sequence: number }
  | { readonly kind: "prune"; readonly beforeMs: number }
  | { readonly kind: "outboxSpecs" }
  | {
      readonly kind: "seal";
      readonly specs: readonly SealedRow[];
      readonly outbox: readonly Omit<OutboxSpec, "machineId">[];
    }
  | { readonly kind: "close" };

export interface StoreAnswers {
  readonly begin: Opened;
  readonly commit: number;
  readonly outbox: readonly OutboxRow[];
  readonly acknowledge: undefined;
  readonly prune: readonly string[];
  readonly outboxSpecs: readonly OutboxSpec[];
  readonly seal: undefined;
  readonly close: undefined;
}

/** Characters of changes that are read at once. */
const MAX_OUTBOX_READ = 4 * 1024 * 1024;

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
   * @throws Error as {@link openDatabase} does
   */
  constructor(path: string, maxPages?: number) {
    this.#db = openDatabase(path);
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
    this.#emit = this.#db.prepare("insert into outbox (machine_id, status, event, spec) values (?, ?, ?, ?)");
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
      case "seal":
        return this.#seal(request);
      case "outboxSpecs":
        return this.#all<OutboxSpec>(
          "select sequence, machine_id as machineId, spec from outbox where spec is not null",
        );
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
        isPlain: this.#version() < SEALED_VERSION,
        sequence: this.#lastSequence(),
        acknowledged: Number(this.#meta("acknowledged") ?? "0"),
      };
    });
  }

  /** Writes changes and their outbox rows in one transaction. Returns the last sequence. */
  #commit(changes: readonly ChangeRow[]): number {
    return this.#transaction(() => {
      for (const { id, generation, state, updatedMs, spec, isWhole, status, events, event } of changes) {
        const whole = `${status.slice(0, -1)},"events":${events}}`;
        // A retried change may come after a newer one, which it must not overwrite.
        if (spec === undefined) this.#update.run(generation, state, updatedMs, whole, id, generation);
        else this.#upsert.run(id, generation, state, updatedMs, spec, whole);
        this.#emit.run(id, status, event ?? null, isWhole ? (spec ?? null) : null);
      }
      return this.#lastSequence();
    });
  }

  /** Reads the changes after a sequence: at most `limit`, and not many more bytes than are sent at once. */
  #outbox(after: number, limit: number): readonly OutboxRow[] {
    const rows: OutboxRow[] = [];
    let length = 0;
    const statement = this.#db.prepare(
      `select sequence, machine_id as machineId, status, event, spec from outbox
        where sequence > ? order by sequence limit ?`,
    );
    for (const found of statement.iterate(after, limit)) {
      const row = found as unknown as OutboxRow;
      rows.push(row);
      length += row.status.length + (row.event?.length ?? 0) + (row.spec?.length ?? 0);
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

  /** Replaces specs that are plain or sealed with an older key, and leaves nothing of them in the files. */
  #seal({ specs, outbox }: StoreRequest & { readonly kind: "seal" }): undefined {
    this.#db.exec("pragma secure_delete = on");
    this.#transaction(() => {
      const update = this.#db.prepare("update machines set spec = ? where id = ?");
      for (const { id, spec } of specs) update.run(spec, id);
      const report = this.#db.prepare("update outbox set spec = ? where sequence = ?");
      for (const { sequence, spec } of outbox) report.run(spec, sequence);
      this.#db.exec(`pragma user_version = ${VERSION}`);
    });
    this.#db.exec("pragma wal_checkpoint(truncate); pragma secure_delete = off");
  }

  #version(): number {
    return Number(this.#db.prepare("pragma user_version").get()?.["user_version"]);
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

export const SQLITE_FULL = 13;
