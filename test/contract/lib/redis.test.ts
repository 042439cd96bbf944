import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withSpan } from "../../../src/lib/otel/tracing.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);
const lines: Record<string, unknown>[] = [];
createLogger("test", { write: (line) => lines.push(JSON.parse(line)) });

/** Longer than any test. */
const PATIENT = { commandTimeoutMs: 120_000 };
const HASTY = { commandTimeoutMs: 200 };

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url, PATIENT);
  await redis.ready(20_000);
});
beforeEach(() => {
  exporter.reset();
  lines.length = 0;
});
afterAll(async () => {
  await redis.close();
  await server.close();
});

test("commands work, with a span below a parent only", async () => {
  await redis.run("SET", (client) => client.set("a", "1"));

  const value = await withSpan("parent", {}, () => redis.run("GET", (client) => client.get("a")));

  expect(value).toBe("1");
  const [span, ...others] = exporter.getFinishedSpans();
  expect(others.map(({ name }) => name)).toEqual(["parent"]);
  expect(span?.name).toBe("GET");
  expect(span?.attributes).toEqual({ "db.system.name": "redis", "db.operation.name": "GET" });
});

test("a script runs as one, with keys and arguments, also after Redis has forgotten it", async () => {
  const claim = redis.script(
    "claim",
    "if redis.call('get', KEYS[1]) then return 0 end redis.call('set', KEYS[1], ARGV[1]) return 1",
  );

  const outcomes = await Promise.all([claim(["r1"], ["a"]), claim(["r1"], ["b"])]);
  await redis.run("SCRIPT", (client) => client.script("FLUSH"));
  const later = await claim(["r2"], [7]);

  expect(outcomes).toEqual([1, 0]);
  expect(later).toBe(1);
  expect(await redis.run("GET", (client) => client.get("r2"))).toBe("7");
});

test("what Redis itself refuses is no outage", async () => {
  await redis.run("SET", (client) => client.set("text", "x"));

  const wrong = redis.run("INCR", (client) => client.incr("text"));

  await expect(wrong).rejects.toMatchObject({ name: "ReplyError" });
});

test("a frozen Redis costs a command its timeout", async () => {
  const hasty = new Redis(server.url, HASTY);
  await hasty.ready(20_000);

  server.part.pause();
  const outcome = await hasty.run("GET", (client) => client.get("a")).catch((err: unknown) => err);
  server.part.resume();

  expect(outcome).toMatchObject({ code: "UNAVAILABLE", reason: "REDIS_UNAVAILABLE" });
  await expect.poll(() => works(hasty)).toBe(true);
  await hasty.close();
});

test("a Redis that dies fails commands at once, is said once in the log, and is used again when it is back", async () => {
  await server.part.crash();
  await expect.poll(() => redis.isReady()).toBe(false);
  // None of them waits: the test would not end in time.
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, () => redis.run("GET", (client) => client.get("a"))),
  );

  expect(new Set(outcomes.map((o) => (o.status === "rejected" ? o.reason.reason : o.value)))).toEqual(
    new Set(["REDIS_UNAVAILABLE"]),
  );
  await server.part.whenReady(30_000);
  await redis.ready(20_000);
  expect(await works(redis)).toBe(true);
  expect(lines.length).toBeLessThanOrEqual(2);
});

test("a Redis that was never there is UNAVAILABLE within the time given", async () => {
  const nowhere = new Redis("unix:/nowhere/redis.sock");

  await expect(nowhere.ready(100)).rejects.toMatchObject({ reason: "REDIS_UNAVAILABLE" });
  await expect(nowhere.run("PING", (client) => client.ping())).rejects.toMatchObject({
    code: "UNAVAILABLE",
    reason: "REDIS_UNAVAILABLE",
  });

  await nowhere.close();
});

function works(of: Redis): Promise<boolean> {
  return of
    .run("PING", (client) => client.ping())
    .then(
      () => true,
      () => false,
    );
}
