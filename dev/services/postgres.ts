import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { basename, join } from "node:path";
import pg from "pg";
import { allProcesses, awaitEnd, inspect, sendSignal } from "../../tools/lib/processes.ts";
import { findPostgres, program } from "../../tools/lib/programs.ts";
import { run } from "../../tools/lib/run.ts";
import { plainEnvironment } from "../settings/environment.ts";
import type { PartSpec } from "../supervisor/part.ts";
import { type User, unprivilegedUser } from "../supervisor/user.ts";

/**
 * The data folder as the server sees it. It runs as a user who may not be allowed to walk down to the folder (a home folder is
 * 0700 as a rule), so we hand it the open folder; this name needs no walk. Clients use the folder's own path.
 */
const OPEN_FOLDER = "/proc/self/fd/3";
const SUPERUSER = "postgres";

/** How a server is to be run. */
export interface PostgresOptions {
  readonly name?: string;
  /** Data and socket. Made when it is not there. */
  readonly folder: string;
  readonly logFile: string;
  /** A database to have from the start. */
  readonly database?: string;
  /** False gives up safety against power loss, not against kills, for speed: for tests. */
  readonly isDurable: boolean;
}

/** The socket in the data folder, by Postgres' own rule. */
const SOCKET = ".s.PGSQL.5432";

/** A private server: its own data folder, a unix socket in it, no network. */
export function postgres(options: PostgresOptions): PartSpec {
  const binaries = findPostgres();
  if (binaries === undefined) throw new Error("Postgres is not on this machine; npm run setup installs it");
  const user = unprivilegedUser();
  const settings = {
    listen_addresses: "",
    unix_socket_directories: OPEN_FOLDER,
    unix_socket_permissions: "0700",
    max_connections: "200",
    shared_buffers: "32MB",
    ...(options.isDurable ? {} : { fsync: "off", full_page_writes: "off" }),
  };
  return {
    name: options.name ?? "postgres",
    command: [
      join(binaries, "postgres"),
      ...["-D", OPEN_FOLDER],
      ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
    ],
    environment: plainEnvironment(),
    workingDirectory: "/",
    logFile: options.logFile,
    user,
    openFolder: options.folder,
    // Postgres' "fast shutdown": sessions are ended, the data is left clean.
    stopSignal: "SIGINT",
    stopGraceMs: 15_000,
    orphanSignal: "SIGINT",
    readyTimeoutMs: 60_000,
    async prepare(signal) {
      await initialise(binaries, options.folder, user, signal);
      await endSessions(options.folder);
      // They name a process that is gone; its number may be somebody else's by now, and Postgres would refuse to start.
      for (const name of ["postmaster.pid", `${SOCKET}.lock`, SOCKET])
        rmSync(join(options.folder, name), { force: true });
    },
    async ready() {
      if (options.database !== undefined) await ensureDatabase(options.folder, options.database);
      await query(postgresUrl(options.folder, options.database ?? "postgres"), "SELECT 1");
    },
  };
}

/** How to reach a database of the server in `folder`. */
export function postgresUrl(folder: string, database: string): string {
  return `postgresql://${SUPERUSER}@/${database}?host=${encodeURIComponent(folder)}`;
}

/** Runs one statement on a connection of its own; returns how many rows it gave. */
export async function query(url: string, statement: string): Promise<number> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
  });
  // An idle connection that breaks emits an error; the query in flight reports it as well.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(statement)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

/** Makes the database if it is not there. */
async function ensureDatabase(folder: string, database: string): Promise<void> {
  const server = postgresUrl(folder, "postgres");
  const found = await query(server, `SELECT 1 FROM pg_database WHERE datname = '${database}'`);
  if (found === 0) await query(server, `CREATE DATABASE "${database}"`);
}

/** Once per folder. Works beside it and renames, so that an interrupted run leaves nothing that looks finished. */
async function initialise(
  binaries: string,
  folder: string,
  user: User | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (existsSync(join(folder, "PG_VERSION"))) return;
  const draft = `${folder}.draft`;
  rmSync(draft, { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  chmodSync(draft, 0o700);
  if (user) chownSync(draft, user.uid, user.gid);
  const open = openSync(draft, "r");
  try {
    await run(
      program("setpriv"),
      [
        ...(user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"] : []),
        ...["--pdeathsig", "KILL", "--", join(binaries, "initdb")],
        ...["-D", OPEN_FOLDER, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"],
      ],
      { cwd: "/", env: plainEnvironment(), descriptor: open, signal },
    );
  } finally {
    closeSync(open);
  }
  renameSync(draft, folder);
}

/**
 * After a server was killed its sessions notice and end, but not at once. Two servers' processes on one folder would spoil the
 * data, and only once all are gone may the lock file be removed (its process number may be somebody else's by now).
 */
async function endSessions(folder: string): Promise<void> {
  const path = realpathSync(folder);
  const sessions = allProcesses().filter(({ pid }) => {
    const { executable, workingDirectory } = inspect(pid);
    return workingDirectory === path && basename(executable) === "postgres";
  });
  for (const each of await awaitEnd(sessions, 5_000)) sendSignal(each, "SIGKILL");
  const [left] = await awaitEnd(sessions, 5_000);
  if (left !== undefined)
    throw new Error(`process ${left.pid} of an earlier Postgres on ${path} does not end`);
}
