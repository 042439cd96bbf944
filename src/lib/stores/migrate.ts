import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";
import { Fault } from "../faults/fault.ts";
import { logger } from "../runtime/log.ts";

export interface Migration {
  readonly version: number;
  readonly file: string;
  readonly sql: string;
  readonly checksum: string;
}

/** Any constant will do, as long as all processes that migrate use it. */
const LOCK = 7_316_042_911;
const LOCK_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Applies the SQL files of a folder (`0001_create_machines.sql`, ...) that the database does not have yet, in order, each
 * in its own transaction. Several processes may call it at once: one works, the others wait.
 *
 * @returns the files applied now
 * @throws Fault FAILED_PRECONDITION / `MIGRATION_INVALID` for two files of one number, a file out of line, or one that was
 *   changed after it had been applied
 */
export async function migrate(url: string, folder: URL): Promise<string[]> {
  const migrations = await readMigrations(folder);
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: "windhover-migrate",
  });
  // A broken connection fails the statement that runs; its event without a listener would end the process.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (cause) {
    throw new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "the database cannot be reached", {}, { cause });
  }
  try {
    await client.query(`set lock_timeout = ${LOCK_TIMEOUT_MS}`);
    // The session holds it, so it is released however this ends.
    await client.query("select pg_advisory_lock($1)", [LOCK]);
    return await applyMissing(client, migrations);
  } finally {
    await client.end().catch(() => {});
  }
}

export async function readMigrations(folder: URL): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  const migrations: Migration[] = [];
  for (const file of files) {
    const version = Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(file)?.[1]);
    if (!Number.isInteger(version)) throw wrong(file, "its name is not like 0001_create_machines.sql");
    if (migrations.at(-1)?.version === version) throw wrong(file, "another file has the same number");
    const sql = await readFile(new URL(file, folderUrl(folder)), "utf8");
    migrations.push({ version, file, sql, checksum: createHash("sha256").update(sql).digest("hex") });
  }
  return migrations;
}

async function applyMissing(client: pg.Client, migrations: readonly Migration[]): Promise<string[]> {
  await client.query(`create table if not exists schema_migrations (
    version integer primary key,
    file text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
  )`);
  const { rows } = await client.query<{ version: number; checksum: string }>(
    "select version, checksum from schema_migrations order by version",
  );
  const applied = new Map(rows.map((row) => [row.version, row.checksum]));
  const newest = rows.at(-1)?.version ?? 0;
  const missing: Migration[] = [];
  for (const migration of migrations) {
    const checksum = applied.get(migration.version);
    if (checksum !== undefined && checksum !== migration.checksum) {
      throw wrong(migration.file, "it was changed after it had been applied; write a new one instead");
    }
    if (checksum === undefined && migration.version < newest) {
      throw wrong(migration.file, `a later one, ${newest}, has been applied already`);
    }
    if (checksum === undefined) missing.push(migration);
  }
  for (const migration of missing) await apply(client, migration);
  return missing.map((migration) => migration.file);
}

async function apply(client: pg.Client, { version, file, sql, checksum }: Migration): Promise<void> {
  await client.query("begin");
  try {
    // First, so that two processes that race in spite of the lock collide here and not halfway.
    await client.query("insert into schema_migrations (version, file, checksum) values ($1, $2, $3)", [
      version,
      file,
      checksum,
    ]);
    await client.query(sql);
    await client.query("commit");
  } catch (cause) {
    await client.query("rollback").catch(() => {});
    throw new Error(`migration ${file} failed`, { cause });
  }
  logger.info("a migration was applied", { file });
}

function wrong(file: string, why: string): Fault {
  return new Fault("FAILED_PRECONDITION", "MIGRATION_INVALID", `migration ${file}: ${why}`, { file });
}

function folderUrl(folder: URL): URL {
  return folder.pathname.endsWith("/") ? folder : new URL(`${folder.href}/`);
}
