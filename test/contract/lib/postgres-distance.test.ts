import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { Database, type Statement } from "../../../src/lib/stores/postgres.ts";
import { DelayProxy } from "../../support/net/delay-proxy.ts";
import { type TemporaryFolder, temporaryFolder } from "../../support/temporary.ts";
import { type TestApi, World } from "../api/fixture.ts";

/** Long beside what a loaded machine does in between, so that the quotient says how often something went there and back. */
const ROUND_TRIP_MS = 500;

createLogger("test", { write: () => {} });

let scratch: TemporaryFolder;
let world: World;
let proxy: DelayProxy;
let roundTripMs = 0;
let url: string;

beforeAll(async () => {
  world = await World.open(1);
  scratch = temporaryFolder("distance");
  mkdirSync(join(scratch.path, "pg"));
  const name = ".s.PGSQL.5432";
  const near = decodeURIComponent(/host=([^&]+)/.exec(world.database.url)?.[1] ?? "");
  const path = join(scratch.path, "pg", name);
  proxy = await DelayProxy.start({ target: join(near, name), path, roundTripMs: () => roundTripMs });
  url = world.database.url.replace(encodeURIComponent(near), encodeURIComponent(join(scratch.path, "pg")));
});
afterEach(() => {
  roundTripMs = 0;
});
afterAll(async () => {
  await world.close();
  await proxy?.close();
  scratch.remove();
});

/** Of work with a Postgres that is far: a busy machine makes it slower, never faster. */
const MOST_TRIES = 8;

/**
 * How many round trips to Postgres some work waits for: how much longer it takes when Postgres is
 * far. Tries again while they are `limit` or more.
 */
async function tripsOf(limit: number, work: () => Promise<unknown>): Promise<number> {
  const time = async () => {
    const startedAt = performance.now();
    await work();
    return performance.now() - startedAt;
  };
  // The first one pays for a connection, and for statements that are not yet prepared.
  await work();
  const near = Math.min(await time(), await time(), await time());
  roundTripMs = ROUND_TRIP_MS;
  let trips = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < MOST_TRIES && trips >= limit; tries++)
    trips = Math.min(trips, ((await time()) - near) / ROUND_TRIP_MS);
  return trips;
}

test("statements of a transaction that do not wait for each other take one round trip, and the last with its commit another", async () => {
  const db = new Database({ url, maxConnections: 1 });
  const statement = (name: string): Statement => ({ name, text: `select '${name}' as said` });
  let said: readonly string[] = [];

  const trips = await tripsOf(2.8, () =>
    db.transaction(async (tx) => {
      const first = await Promise.all(
        ["a", "b", "c"].map((name) => tx.query<{ said: string }>(statement(name))),
      );
      const last = await tx.commit<{ said: string }>(statement("d"));
      said = [...first, last].map(({ rows }) => rows[0]?.said ?? "");
    }),
  );
  await db.close();

  expect(said).toEqual(["a", "b", "c", "d"]);
  expect(trips).toBeLessThan(2.8);
});

test("what a transaction's last statement could not do is rolled back with the rest", async () => {
  const db = new Database({ url, maxConnections: 1 });
  await db.query({ name: "table", text: "create table if not exists counted (id int primary key)" });

  const failed = db.transaction(async (tx) => {
    await tx.query({ name: "one", text: "insert into counted values (1)" });
    await tx.commit({ name: "again", text: "insert into counted values (1)" });
  });

  await expect(failed).rejects.toMatchObject({ code: "23505" });
  expect(await world.sql("select * from counted")).toEqual([]);
  expect(await db.query({ name: "after", text: "select 1 as one" })).toMatchObject({ rows: [{ one: 1 }] });
  await db.close();
});

test("a create waits for Postgres five times", async () => {
  const api: TestApi = await world.api({ databaseUrl: url });
  await api.user.createApp("web");

  const trips = await tripsOf(6.5, () => api.user.create());

  expect(trips).toBeLessThan(6.5);
});
