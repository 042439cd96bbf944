import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { migrate } from "../../../src/lib/stores/migrate.ts";
import { Database } from "../../../src/lib/stores/postgres.ts";
import { createDatabase, type TestDatabase } from "../../support/servers/postgres.ts";

createLogger("test", { write: () => {} });

describe("migrations", () => {
  let root: string;
  let database: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "wh-migrate-"));
    database = await createDatabase();
    db = new Database({ url: database.url });
  });
  afterEach(async () => {
    await db.query({ name: "reset", text: "drop schema public cascade" });
    await db.query({ name: "again", text: "create schema public" });
  });
  afterAll(async () => {
    await db.close();
    await database.close();
    await rm(root, { recursive: true });
  });

  test("are applied in order, once, however many try at the same time", async () => {
    const url = await folder("order", {
      "0001_a.sql": "create table a (id int); insert into a values (1);",
      "0002_b.sql": "alter table a add column b int; update a set b = 2;",
    });

    const applied = await Promise.all([1, 2, 3].map(() => migrate(database.url, url)));
    const again = await migrate(database.url, url);

    expect(applied.flat().sort()).toEqual(["0001_a.sql", "0002_b.sql"]);
    expect(again).toEqual([]);
    const { rows } = await db.query({ name: "rows", text: "select * from a" });
    expect(rows).toEqual([{ id: 1, b: 2 }]);
  });

  test("that fail leave nothing of themselves, and keep those before", async () => {
    const url = await folder("fail", {
      "0001_a.sql": "create table a (id int);",
      "0002_b.sql": "create table b (id int); select nonsense;",
    });

    await expect(migrate(database.url, url)).rejects.toThrow("migration 0002_b.sql failed");

    const tables = await db.query({
      name: "tables",
      text: "select table_name from information_schema.tables where table_schema = 'public' order by 1",
    });
    expect(tables.rows).toEqual([{ table_name: "a" }, { table_name: "schema_migrations" }]);
  });

  test.each([
    [
      "two of one number",
      { "0001_a.sql": "", "0001_b.sql": "" },
      "0001_b.sql: another file has the same number",
    ],
    ["a name without a number", { "a.sql": "" }, "a.sql: its name is not like 0001_create_machines.sql"],
  ])("%s are refused", async (name, files, message) => {
    const url = await folder(name.replaceAll(" ", "-"), files);

    await expect(migrate(database.url, url)).rejects.toMatchObject({
      reason: "MIGRATION_INVALID",
      message: `migration ${message}`,
    });
  });

  test("one that was changed after it had been applied is refused", async () => {
    await migrate(database.url, await folder("before", { "0001_a.sql": "create table a (id int);" }));

    const changed = migrate(
      database.url,
      await folder("after", { "0001_a.sql": "create table a (id bigint);" }),
    );

    await expect(changed).rejects.toMatchObject({
      reason: "MIGRATION_INVALID",
      facts: { file: "0001_a.sql" },
    });
  });

  test("one that comes below what has been applied is refused", async () => {
    await migrate(database.url, await folder("two", { "0002_b.sql": "create table b (id int);" }));

    const late = migrate(
      database.url,
      await folder("late", {
        "0001_a.sql": "create table a (id int);",
        "0002_b.sql": "create table b (id int);",
      }),
    );

    await expect(late).rejects.toThrow("migration 0001_a.sql: a later one, 2, has been applied already");
  });

  test("an older program accepts a newer schema", async () => {
    const old = { "0001_a.sql": "create table a (id int);" };
    await migrate(database.url, await folder("new", { ...old, "0002_b.sql": "create table b (id int);" }));

    expect(await migrate(database.url, await folder("old", old))).toEqual([]);
  });

  async function folder(name: string, files: Record<string, string>): Promise<URL> {
    const path = join(root, name);
    await mkdir(path);
    for (const [file, sql] of Object.entries(files)) await writeFile(join(path, file), sql);
    return pathToFileURL(`${path}/`);
  }
});
