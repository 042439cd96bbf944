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

/** The data folder as an open descriptor: the server's user may not be able to walk to it. */
const OPEN_FOLDER = "/proc/self/fd/3";
const SUPERUSER = "postgres";

export interface PostgresOptions {
  readonly name?: string;
  /** Of data and socket. Made when it is not there. */
  readonly folder: string;
  readonly logFile: string;
  readonly database?: string;
  /** False: faster, but not safe against power loss; for tests. */
  readonly isDurable: boolean;
}

const SOCKET = ".s.PGSQL.5432";

/** A server with a unix socket in its data folder, and no network. */
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
    // Postgres' "fast shutdown".
    stopSignal: "SIGINT",
    stopGraceMs: 15_000,
    orphanSignal: "SIGINT",
    readyTimeoutMs: 60_000,
    async prepare(signal) {
      await initialise(binaries, options.folder, user, signal);
      await endSessions(options.folder);
      // Their process is gone. When another has its number, Postgres refuses to start.
      for (const name of ["postmaster.pid", `${SOCKET}.lock`, SOCKET])
        rmSync(join(options.folder, name), { force: true });
    },
    async ready() {
      if (options.database !== undefined) await ensureDatabase(options.folder, options.database);
      await query(postgresUrl(options.folder, options.database ?? "postgres"), "SELECT 1");
    },
  };
}

/** The URL of a database of the server in `folder`. */
export function postgresUrl(folder: string, database: string): string {
  return `postgresql://${SUPERUSER}@/${database}?host=${encodeURIComponent(folder)}`;
}

/** Runs one statement on a connection of its own; returns the number of rows. */
export async function query(url: string, statement: string): Promise<number> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
  });
  // The query reports it as well.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(statement)).rowCount ?? 0;
  } finally {
    await client.end();
  }
}

async function ensureDatabase(folder: string, database: string): Promise<void> {
  const server = postgresUrl(folder, "postgres");
  const found = await query(server, `SELECT 1 FROM pg_database WHERE datname = '${database}'`);
  if (found === 0) await query(server, `CREATE DATABASE "${database}"`);
}

/** Makes the data folder. Renames a finished one, so that an interrupted run changes nothing. */
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

/** Waits for the sessions of a killed server: a second server would spoil the data. */
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
