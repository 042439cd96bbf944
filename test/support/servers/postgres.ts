import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { inject } from "vitest";
import { postgres, postgresUrl, query } from "../../../dev/services/postgres.ts";
import { Part } from "../../../dev/supervisor/part.ts";
import { startOrRemove, temporaryFolder } from "../temporary.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Folder of the Postgres server that the whole run shares; set by `global-postgres.ts`. */
    postgresFolder: string | undefined;
  }
}

/** A Postgres server of one's own. */
export interface TestPostgres {
  readonly folder: string;
  /** How to reach one of its databases. */
  url(database: string): string;
  /** The process, for tests that freeze or kill it. */
  readonly part: Part;
  close(): Promise<void>;
}

/** A database that nobody else uses. */
export interface TestDatabase {
  readonly url: string;
  /** Drops it, whoever is connected. */
  close(): Promise<void>;
}

/** Starts a server for a test that takes it away; the others use {@link createDatabase}. About a second. */
export async function startPostgres(): Promise<TestPostgres> {
  const scratch = temporaryFolder("postgres");
  const folder = join(scratch.path, "data");
  const part = new Part(postgres({ folder, logFile: join(scratch.path, "log"), isDurable: false }));
  await startOrRemove(part, scratch);
  return {
    folder,
    part,
    url: (database) => postgresUrl(folder, database),
    async close() {
      await part.stop();
      scratch.remove();
    },
  };
}

/** Something that fills a new database, e.g. by migrating it. Done once per test file and name; the rest are copies. */
export interface Template {
  /** Lower-case letters and digits. */
  readonly name: string;
  prepare(url: string): Promise<void>;
}

/** Makes an empty database, or a copy of `template` (some 40 ms), in the server that the run shares. */
export async function createDatabase(template?: Template): Promise<TestDatabase> {
  const folder = await serverFolder();
  const source = template === undefined ? "template1" : await templateDatabase(folder, template);
  return makeDatabase(folder, source);
}

const templates = new Map<string, Promise<string>>();
let ownServer: Promise<TestPostgres> | undefined;

async function serverFolder(): Promise<string> {
  const shared = inject("postgresFolder");
  if (shared !== undefined) return shared;
  // A project without the shared server: this process gets one, which ends with it.
  ownServer ??= startPostgres();
  return (await ownServer).folder;
}

function templateDatabase(folder: string, template: Template): Promise<string> {
  const known = templates.get(template.name);
  if (known !== undefined) return known;
  const made = (async () => {
    const name = `${template.name}_${randomBytes(6).toString("hex")}`;
    await query(postgresUrl(folder, "postgres"), `CREATE DATABASE "${name}"`);
    await template.prepare(postgresUrl(folder, name));
    return name;
  })();
  templates.set(template.name, made);
  return made;
}

async function makeDatabase(folder: string, source: string): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const server = postgresUrl(folder, "postgres");
  await query(server, `CREATE DATABASE "${name}" TEMPLATE "${source}"`);
  return {
    url: postgresUrl(folder, name),
    async close() {
      await query(server, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
    },
  };
}
