import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DIMENSIONS } from "../../../src/console/answers/operations.ts";
import { bearer } from "../traces/support.ts";
import { FAILED, SLOW, startConsoleOfStarts } from "./starts.ts";
import { json, recent, startTestConsole, type TestConsole } from "./support.ts";

const token = await bearer("acme", "machines:read");
let console: TestConsole;

beforeAll(async () => {
  console = await startConsoleOfStarts();
});
afterAll(() => console.close());

const get = (path: string) => json(console.get(path, token));

describe("the overview", () => {
  test("has every panel", async () => {
    const answer = await get("/api/overview");

    expect(answer).toMatchObject({
      matching: 42,
      kept: 42,
      percentiles: { all: { count: 41, max: 90_000 } },
    });
    expect(answer.objectives[0]).toMatchObject({ kind: "start", path: "warm", total: 41, within: 41 });
    expect(answer.heat.failed.reduce((sum: number, each: number) => sum + each, 0)).toBe(1);
    expect(answer.worst[0]).toMatchObject({ traceId: SLOW.traceId, dominant: "disk swap" });
    expect(answer.failed.map(({ traceId }: { traceId: string }) => traceId)).toEqual([FAILED.traceId]);
    expect(answer.hosts[0]).toMatchObject({ host: "h2", count: 1 });
    expect(answer.hops.league[0].hop).toBe("hostd");
    expect(answer.percentiles.unsampled.all.count).toBe(41);
    expect(answer.points).toHaveLength(42);
    expect(answer.points).toContainEqual([expect.any(Number), 90_000, "warm", false, SLOW.traceId]);
    expect(answer.differences).toMatchObject({ inside: 5, outside: 37 });
  });

  test("follows the store: what is new appears, what is evicted goes", async () => {
    // A console of its own: what is evicted has been counted all the same.
    const changing = await startTestConsole([recent({ host: "h-old" })]);
    const kept = async (query: string) =>
      (await json(changing.get(`/api/overview?${query}`, token))).matching;
    changing.database.addOperations([recent({ host: "h-new" })]);
    await expect.poll(() => kept("host=h-new")).toBe(1);

    changing.database.evict([2]);

    await expect.poll(() => kept("host=h-new")).toBe(0);
    expect(await kept("")).toBe(1);
    await changing.close();
  });
});

test("points are the newest, newest last, and say when there are more", async () => {
  const all = await get("/api/points");
  const some = await get("/api/points?limit=3");

  expect([all.points.length, all.is_whole]).toEqual([42, true]);
  expect([some.points.length, some.is_whole]).toEqual([3, false]);
  expect(some.points).toEqual(all.points.slice(-3));
});

test("differences of a box name its host", async () => {
  const now = Date.now();

  const answer = await get(`/api/differences?box=${now - 3_600_000},${now},80000,100000`);

  expect([answer.inside, answer.outside]).toEqual([1, 41]);
  expect(answer.attributes[0]).toMatchObject({
    ...{ dimension: "host", value: "h2", inside: 1, outside: 0, inside_share: 1, outside_share: 0 },
    score: expect.closeTo(1, 10),
  });
});

test("two sets are compared by their own parameters", async () => {
  const parameters = new URLSearchParams({ a: "host=h1", b: "host=h2&since=2h" });

  const answer = await get(`/api/compare?${parameters}`);

  expect([answer.a.count, answer.b.count, answer.test.verdict]).toEqual([40, 1, "too few"]);
});

test("latency by each attribute has its groups", async () => {
  const byHost = await get("/api/latency?by=host");
  const statuses = await Promise.all(
    DIMENSIONS.map(async (each) => (await console.get(`/api/latency?by=${each}`, token)).status),
  );

  expect(byHost.groups).toMatchObject([
    { value: "h1", count: 40, p50: 30_019, failed: 1, dominant: "hostd" },
    { value: "h2", count: 1, failed: 0, dominant: "disk swap" },
  ]);
  expect(statuses).toEqual(DIMENSIONS.map(() => 200));
});

describe("a trace", () => {
  test("is a waterfall with its critical path, and the shadow of a typical start", async () => {
    const answer = await get(`/api/traces/${SLOW.traceId.toUpperCase()}`);

    expect(answer).toMatchObject({
      machine_id: SLOW.machineId,
      operations: [{ traceId: SLOW.traceId, dominant: "disk swap" }],
      typical: { count: 41 },
      spans: [
        {
          ...{ name: "api.start", depth: 0, offset_us: 0, duration_us: 90_000 },
          critical: [{ offset_us: 0, duration_us: 20_000 }],
        },
        {
          ...{ name: "vmm.swap", hop: "disk swap", depth: 1, offset_us: 20_000, duration_us: 70_000 },
          critical: [{ offset_us: 20_000, duration_us: 70_000 }],
        },
      ],
    });
    expect(answer.spans[1].typical_us).toBeGreaterThan(10_000);
    expect(answer.spans[1].typical_us).toBeLessThan(10_040);
  });

  test("that is not kept is not found", async () => {
    const unknown = await console.get(`/api/traces/${"f".repeat(32)}`, token);
    const wrong = await console.get("/api/traces/..%2f..%2fetc", token);

    expect([unknown.status, wrong.status]).toEqual([404, 400]);
  });
});

test("the flame graph merges critical paths by name", async () => {
  // It has as many as can be read within its time.
  let flame = await get("/api/flame?host=h1");
  await expect
    .poll(async () => {
      if (flame.count < 40) flame = await get("/api/flame?host=h1");
      return flame.count;
    })
    .toBe(40);

  expect(flame).toMatchObject({
    name: "api.start",
    count: 40,
    children: [{ name: "vmm.swap", children: [] }],
  });
  expect(flame.value).toBeCloseTo(30_019.5, 6);
  expect(flame.children[0].value).toBeCloseTo(10_019.5, 6);
});
