import { SpanKind } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withSpan } from "../../../src/lib/otel/tracing.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { migrate } from "../../../src/lib/stores/migrate.ts";
import { Database } from "../../../src/lib/stores/postgres.ts";
import {
  createDatabase,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../support/servers/postgres.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);
createLogger("test", { write: () => {} });

describe("the database", () => {
  let database: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    database = await createDatabase();
    db = new Database({ url: database.url, maxConnections: 4, statementTimeoutMs: 30_000 });
    await db.query({ name: "table", text: "create table things (id int primary key, number bigint)" });
  });
  afterEach(() => exporter.reset());
  afterAll(async () => {
    await db.close();
    await database.close();
  });

  test("answers rows and their number, big integers as text", async () => {
    await db.query({ name: "insert", text: "insert into things values ($1, $2)", values: [1, 2n ** 60n] });

    const result = await db.query<{ number: string }>({
      name: "first",
      text: "select number from things where id = 1",
    });

    expect(result).toEqual({ rows: [{ number: String(2n ** 60n) }], rowCount: 1 });
  });

  test("gives spans by the conventions, below a parent only", async () => {
    const statement = { name: "one", text: "select number from things where id = $1", values: [1] };

    await db.query(statement);
    await withSpan("parent", {}, () => db.query(statement));

    const spans = exporter.getFinishedSpans();
    expect(spans.map((span) => [span.name, span.kind])).toEqual([
      ["SELECT things", SpanKind.CLIENT],
      ["parent", SpanKind.INTERNAL],
    ]);
    expect(spans[0]?.attributes).toEqual({
      "db.system.name": "postgresql",
      "db.namespace": expect.stringMatching(/^test_/),
      "db.operation.name": "SELECT",
      "db.collection.name": "things",
      "db.query.summary": "SELECT things",
      "db.query.text": "select number from things where id = $1",
    });
  });

  test("names the constraint that refused a row, and keeps the connection", async () => {
    const insert = () => db.query({ name: "twice", text: "insert into things values (2, 0)" });
    await insert();

    const error = await withSpan("parent", {}, insert).catch((err: unknown) => err);

    expect(error).toMatchObject({ code: "23505", constraint: "things_pkey" });
    const failed = exporter.getFinishedSpans().find((span) => span.name === "INSERT things");
    expect(failed?.attributes["db.response.status_code"]).toBe("23505");
  });

  test("commits what returns and rolls back what throws", async () => {
    const put = (id: number) => ({ name: "put", text: "insert into things values ($1, 0)", values: [id] });

    await db.transaction(async (tx) => tx.query(put(10)));
    const failed = db.transaction(async (tx) => {
      await tx.query(put(11));
      throw new Error("changed my mind");
    });

    await expect(failed).rejects.toThrow("changed my mind");
    const { rows } = await db.query({
      name: "ids",
      text: "select id from things where id in (10, 11)",
    });
    expect(rows).toEqual([{ id: 10 }]);
  });

  test("runs a transaction again after a deadlock", async () => {
    await db.query({ name: "two", text: "insert into things values (20, 0), (21, 0)" });
    const add = (id: number) => ({
      name: "add",
      text: "update things set number = number + 1 where id = $1",
      values: [id],
    });
    const firstLocks = Promise.withResolvers<void>();
    const secondLocks = Promise.withResolvers<void>();
    let attempts = 0;
    const addTo = (
      rows: readonly [number, number],
      mine: PromiseWithResolvers<void>,
      other: Promise<void>,
    ) => {
      let order: readonly number[] = rows;
      return db.transaction(async (tx) => {
        attempts++;
        const [first = 0, second = 0] = order;
        // Run again, it takes the rows in the order of the one that it has met.
        order = rows.toReversed();
        await tx.query(add(first));
        mine.resolve();
        await other;
        await tx.query(add(second));
      });
    };

    await Promise.all([
      addTo([20, 21], firstLocks, secondLocks.promise),
      addTo([21, 20], secondLocks, firstLocks.promise),
    ]);

    const { rows } = await db.query({ name: "sum", text: "select number from things where id in (20, 21)" });
    expect(rows).toEqual([{ number: "2" }, { number: "2" }]);
    expect(attempts).toBe(3);
  });

  test("stops a statement that takes too long", async () => {
    await using stack = new AsyncDisposableStack();
    const hasty = new Database({ url: database.url, maxConnections: 1, statementTimeoutMs: 500 });
    stack.defer(() => hasty.close());
    const slow = hasty.query({ name: "slow", text: "select pg_sleep(60)" });

    await expect(slow).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED", reason: "DATABASE_TIMEOUT" });
  });

  test("refuses to let more wait than it can serve", async () => {
    const slow = { name: "nap", text: "select pg_sleep(0.2)" };

    const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => db.query(slow)));

    const reasons = outcomes.flatMap((o) => (o.status === "rejected" ? [o.reason.reason] : []));
    expect(reasons).toContain("DATABASE_BUSY");
  });
});

describe("a database that goes away", () => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());

  test("is UNAVAILABLE, never hangs, and is used again when it is back", async () => {
    const db = new Database({
      url: server.url("postgres"),
      connectTimeoutMs: 2_000,
      statementTimeoutMs: 2_000,
    });
    const ask = () => db.query({ name: "one", text: "select 1 as one" });
    const works = () =>
      ask().then(
        () => true,
        () => false,
      );
    await expect.poll(works).toBe(true);

    server.part.pause();
    const frozen = await ask().catch((err: unknown) => err);
    server.part.resume();
    await expect.poll(works).toBe(true);
    await server.part.crash();
    const dead = await ask().catch((err: unknown) => err);

    expect(frozen).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    if (dead instanceof Error) expect(dead).toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    await server.part.whenReady(40_000);
    await expect.poll(works).toBe(true);
    await db.close();
  });

  test("only reads is UNAVAILABLE to those who write, and another connection is tried for the next", async () => {
    const db = new Database({ url: server.url("postgres"), maxConnections: 1 });
    await db.query({ name: "notes", text: "create table if not exists notes (id int)" });
    await db.query({ name: "demote", text: "set default_transaction_read_only = on" });
    const note = { name: "note", text: "insert into notes values (1)" };

    const read = await db.query({ name: "read", text: "select id from notes" });
    const written = await db.transaction((tx) => tx.query(note)).catch((err: unknown) => err);

    expect(read.rowCount).toBe(0);
    expect(written).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    expect((await db.query(note)).rowCount).toBe(1);
    await db.close();
  });

  test("breaks a transaction under way with UNAVAILABLE", async () => {
    const db = new Database({ url: server.url("postgres") });

    const outcome = db.transaction(async (tx) => {
      await tx.query({ name: "one", text: "select 1 as one" });
      await server.part.crash();
      // A backend outlives its server by a moment.
      for (;;) await tx.query({ name: "one", text: "select 1 as one" });
    });

    await expect(outcome).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    await server.part.whenReady(40_000);
    await db.close();
  });

  test("that was never there is UNAVAILABLE too", async () => {
    const db = new Database({ url: "postgresql://postgres@/x?host=/nowhere" });

    const outcome = db.query({ name: "one", text: "select 1" });

    await expect(outcome).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    await expect(
      migrate("postgresql://postgres@/x?host=/nowhere", new URL("../../../src/lib/stores/", import.meta.url)),
    ).rejects.toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    await db.close();
  });
});
