import { readFile } from "node:fs/promises";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { migrate, readMigrations } from "../../../../src/lib/stores/migrate.ts";
import { createDatabase, type TestDatabase } from "../../../support/servers/postgres.ts";

const FOLDER = new URL("../../../../src/api/sql/", import.meta.url);

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.close();
});

/** Tables, constraints and indexes as Postgres describes them. */
async function schema(): Promise<string> {
  const { rows } = await client.query<{ line: string }>(`
    select line from (
      select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' '
               || coalesce(collation_name || ' ', '') || case is_nullable when 'NO' then 'not null ' else '' end
               || coalesce('default ' || column_default, '') as line
        from information_schema.columns where table_schema = 'public'
      union all
      select 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
      union all
      select 'index ' || indexdef from pg_indexes where schemaname = 'public'
    ) lines where line not like '%schema_migrations%' order by line collate "C"`);
  return `${rows.map((row) => row.line.trimEnd()).join("\n")}\n`;
}

test("the migrations make exactly the schema that is written down, and each may be applied again", async () => {
  const applied = await migrate(database.url, FOLDER);
  const fresh = await schema();
  for (const { file } of await readMigrations(FOLDER)) {
    await client.query(await readFile(new URL(file, FOLDER), "utf8"));
  }

  expect(applied.length).toBeGreaterThan(0);
  expect(await migrate(database.url, FOLDER)).toEqual([]);
  expect(await schema()).toBe(fresh);
  await expect(fresh).toMatchFileSnapshot("./schema.txt");
});

test("there is an organisation from the beginning, in good standing", async () => {
  await migrate(database.url, FOLDER);

  const { rows } = await client.query(
    "select slug, standing, quota_machines, quota_memory_mb from organizations",
  );

  expect(rows).toEqual([
    { slug: "personal", standing: "good", quota_machines: 100, quota_memory_mb: "65536" },
  ]);
});
