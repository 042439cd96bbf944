import pg from "pg";
import { expect, test } from "vitest";
import { isAlive } from "../../../tools/lib/processes.ts";
import { createDatabase, startPostgres } from "./postgres.ts";
import { startRedis } from "./redis.ts";
import { startRegistry } from "./registry.ts";

test("Postgres comes back by itself after a kill, with what was committed", async () => {
  await using server = disposable(await startPostgres());
  await query(server.url("postgres"), "CREATE TABLE kept (number integer); INSERT INTO kept VALUES (7)");
  const before = server.part.process;

  await server.part.crash();
  await server.part.whenReady(40_000);

  expect(server.part.process).not.toEqual(before);
  expect(await query(server.url("postgres"), "SELECT number FROM kept")).toEqual([{ number: 7 }]);
});

test("a frozen Postgres answers nobody, and goes on when it is thawed", async () => {
  await using server = disposable(await startPostgres());

  server.part.pause();
  await expect(query(server.url("postgres"), "SELECT 1", 300)).rejects.toThrow(/timeout/);
  server.part.resume();

  expect(await query(server.url("postgres"), "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("databases made from one template start alike and do not see each other", async () => {
  let prepared = 0;
  const template = {
    name: "support",
    prepare: async (url: string) => {
      prepared += 1;
      await query(url, "CREATE TABLE things (number integer); INSERT INTO things VALUES (1)");
    },
  };
  await using first = disposable(await createDatabase(template));
  await using second = disposable(await createDatabase(template));

  await query(first.url, "INSERT INTO things VALUES (2)");

  expect(prepared).toBe(1);
  expect(await query(second.url, "SELECT number FROM things")).toEqual([{ number: 1 }]);
});

test("a server that is closed leaves no process", async () => {
  const servers = await Promise.all([startPostgres(), startRedis(), startRegistry()]);
  const processes = servers.map((each) => each.part.process);

  await Promise.all(servers.map((each) => each.close()));

  expect(processes).not.toContain(undefined);
  expect(processes.filter((each) => each !== undefined && isAlive(each))).toEqual([]);
});

function disposable<T extends { close(): Promise<void> }>(resource: T): T & AsyncDisposable {
  return Object.assign(resource, { [Symbol.asyncDispose]: () => resource.close() });
}

async function query(url: string, statement: string, timeoutMs = 20_000): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: timeoutMs });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
