import { chmodSync, closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

/** SQLite's name for a database without a file. */
const IN_MEMORY = ":memory:";
/** 3: the outbox has the specs that are new. */
export const VERSION = 3;
/** Since this version specs are sealed. */
export const SEALED_VERSION = 2;
const SCHEMA = `
  create table meta (key text primary key, value text not null) strict;
  create table machines (
    id text primary key, generation integer not null, state text not null, updated_ms integer not null,
    spec text not null, status text not null
  ) strict;
  create table outbox (
    sequence integer primary key autoincrement, machine_id text not null, status text not null, event text,
    spec text
  ) strict;
  create index outbox_machine on outbox (machine_id);
`;

/**
 * Opens or makes the database's file, for this process alone.
 *
 * @throws Error for operators: another hostd has it, it is damaged or no database, a newer hostd wrote it
 */
export function openDatabase(path: string): DatabaseSync {
  makePrivate(path);
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

/** Makes the file before SQLite does, which gives its other files the permissions of this one. */
function makePrivate(path: string): void {
  if (path === IN_MEMORY) return;
  closeSync(openSync(path, "a", 0o600));
  // Those that an earlier version has made.
  for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o600);
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
  else if (!hasSpecs(db)) db.exec("alter table outbox add column spec text");
  // An older one stays as it is until its specs are sealed.
  if (version === SEALED_VERSION) db.exec(`pragma user_version = ${VERSION}`);
}

function hasSpecs(db: DatabaseSync): boolean {
  return db
    .prepare("pragma table_info(outbox)")
    .all()
    .some(({ name }) => name === "spec");
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
const SQLITE_NOTADB = 26;
