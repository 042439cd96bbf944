import { randomUUID } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { TABLES, TABLES_VERSION } from "../../lib/latency/tables.ts";
import { logger } from "../../lib/runtime/log.ts";
import { makePrivateFolder } from "../../lib/stores/private-folder.ts";

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** Largest write-ahead log. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;
const CACHE_KIB = 32 * 1024;

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
      `pragma journal_mode = wal; pragma synchronous = normal; pragma journal_size_limit = ${MAX_LOG_BYTES};
       pragma cache_size = -${CACHE_KIB}; pragma temp_store = memory`,
    );
    if (db.prepare("pragma user_version").get()?.["user_version"] !== TABLES_VERSION) makeTables(db);
    return db;
  } catch (err) {
    db.close();
    throw err;
  }
}

function makeTables(db: DatabaseSync): void {
  db.exec("begin immediate");
  const old = db.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'");
  for (const { name } of old.all()) db.exec(`drop table "${name}"`);
  db.exec(TABLES);
  db.prepare("insert into state (name, value) values ('epoch', ?)").run(randomUUID());
  db.exec(`pragma user_version = ${TABLES_VERSION}; commit`);
}

/** Whether the file is broken, as opposed to a full disk or a missing permission. */
function isBroken(err: unknown): boolean {
  if (!(err instanceof Error) || !("errcode" in err)) return false;
  return err.errcode === SQLITE_CORRUPT || err.errcode === SQLITE_NOTADB;
}
