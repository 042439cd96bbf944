import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { logger } from "../../lib/runtime/log.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** Grows with every change of the tables. Older databases are emptied. */
const VERSION = 2;
/** Largest write-ahead log. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;

const TABLES = `
  create table trace (
    trace_id text primary key, root_name text not null, root_service text not null, root_start_us integer not null,
    has_root integer not null, start_us integer not null, end_us integer not null, spans integer not null,
    bytes integer not null, dropped integer not null, client_spans integer not null, about_machine integer not null, owner text, client_owner text,
    received_ms integer not null
  ) strict;
  create index trace_by_age on trace (received_ms);
  create table span (
    trace_id text not null, span_id text not null, start_us integer not null, client_org text, body text not null,
    primary key (trace_id, span_id)
  ) strict, without rowid;
  create table machine_trace (
    machine_id text not null, trace_id text not null, primary key (machine_id, trace_id)
  ) strict, without rowid;
  create index machine_trace_by_trace on machine_trace (trace_id);
`;

/**
 * Opens the database in `dir`, or makes it. Committed data survives a kill at any moment. A broken
 * file is renamed to `traces.db.broken`, and an empty one takes its place.
 */
export function openDatabase(dir: string): DatabaseSync {
  makePrivateFolder(dir);
  const path = join(dir, "traces.db");
  try {
    return open(path);
  } catch (error) {
    if (!isBroken(error)) throw error;
    logger.error("the trace database cannot be read; starting with an empty one", { path, error });
    for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    renameSync(path, `${path}.broken`);
    return open(path);
  }
}

function open(path: string): DatabaseSync {
  // SQLite gives its other files the permissions of this one.
  closeSync(openSync(path, "a", 0o600));
  const db = new DatabaseSync(path, { timeout: 2_000 });
  try {
    const state = db.prepare("pragma quick_check(1)").get()?.["quick_check"];
    if (state !== "ok") throw Object.assign(new Error(String(state)), { errcode: SQLITE_CORRUPT });
    // Must come before the first table.
    db.exec("pragma auto_vacuum = incremental");
    db.exec(
      `pragma journal_mode = wal; pragma synchronous = normal; pragma journal_size_limit = ${MAX_LOG_BYTES}`,
    );
    const version = db.prepare("pragma user_version").get()?.["user_version"];
    if (version !== VERSION) {
      db.exec("begin immediate");
      for (const table of ["trace", "span", "machine_trace"]) db.exec(`drop table if exists ${table}`);
      db.exec(`${TABLES} pragma user_version = ${VERSION}; commit`);
    }
    return db;
  } catch (err) {
    db.close();
    throw err;
  }
}

/** Whether the file is broken, as opposed to a full disk or a missing permission. */
function isBroken(err: unknown): boolean {
  if (!(err instanceof Error) || !("errcode" in err)) return false;
  return err.errcode === SQLITE_CORRUPT || err.errcode === SQLITE_NOTADB;
}
