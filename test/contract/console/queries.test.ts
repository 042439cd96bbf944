import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DIMENSIONS } from "../../../src/console/answers/operations.ts";
import { bearer } from "../traces/support.ts";
import { json, rawRequest, recent, spanOf, startTestConsole, type TestConsole } from "./support.ts";

const SLOW = recent({
  ...{ durationUs: 90_000, host: "h2", hops: { hostd: 20_000, "disk swap": 70_000 }, app: "=1+1" },
});
const QUICK = Array.from({ length: 40 }, (_, i) =>
  recent({ durationUs: 30_000 + i, hops: { hostd: 20_000, "disk swap": 10_000 + i } }),
);
const FAILED = recent({ reason: "START_FAILED", path: "", durationUs: 5_000 });

let console: TestConsole;
let token: string;

beforeAll(async () => {
  console = await startTestConsole([...QUICK, SLOW, FAILED]);
  token = await bearer("acme", "machines:read");
  for (const each of [...QUICK, SLOW]) {
    const swap = {
      span_id: "e".repeat(16),
      parent_span_id: each.spanId,
      name: "vmm.swap",
      kind: "internal",
    } as const;
    const swapUs = each.hops["disk swap"] ?? 0;
    const span = spanOf(each, { ...swap, start_us: each.startUs + 20_000, duration_us: swapUs });
    console.database.addTrace([spanOf(each, { name: "api.start", service: "api" }), span], "acme");
  }
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
  });

  test("follows the store: what is new appears, what is evicted goes", async () => {
    const fresh = recent({ host: "h-new" });
    console.database.addOperations([fresh]);
    const kept = async (query: string) => (await get(`/api/overview?${query}`)).matching;
    await expect.poll(() => kept("host=h-new")).toBe(1);

    console.database.evict([43]);

    await expect.poll(() => kept("host=h-new")).toBe(0);
    expect(await kept("")).toBe(42);
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
  const flame = await get("/api/flame?host=h1");

  expect(flame).toMatchObject({
    name: "api.start",
    count: 40,
    children: [{ name: "vmm.swap", children: [] }],
  });
  expect(flame.value).toBeCloseTo(30_019.5, 6);
  expect(flame.children[0].value).toBeCloseTo(10_019.5, 6);
});

describe("a download", () => {
  test("as CSV has a line for each operation, and nothing that a spreadsheet computes", async () => {
    const answer = await console.get("/api/export?format=csv", token);
    const lines = (await answer.text()).trim().split("\r\n");

    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="windhover-start.csv"');
    expect(lines).toHaveLength(43);
    expect(lines[0]).toMatch(/^start,kind,duration_us,.*,disk swap us,hostd us$/);
    expect(lines.find((line) => line.includes(SLOW.traceId))).toContain(`,"'=1+1",`);
  });

  test("as OTLP has the spans of one trace, or of all that are selected", async () => {
    const one = await get(`/api/export?format=otlp&trace=${SLOW.traceId}`);
    const all = await get("/api/export?format=otlp&host=h1");

    const spans = one.resourceSpans.flatMap(({ scopeSpans }: { scopeSpans: { spans: object[] }[] }) =>
      scopeSpans.flatMap((scope) => scope.spans),
    );
    expect(spans).toMatchObject([
      { name: "api.start", traceId: SLOW.traceId, startTimeUnixNano: `${SLOW.startUs}000` },
      { name: "vmm.swap", parentSpanId: SLOW.spanId },
    ]);
    expect(all.resourceSpans).toHaveLength(80);
  });

  test("as speedscope has a profile for each operation, whose weights are its critical path", async () => {
    const file = await get("/api/export?format=speedscope&host=h2");

    const names = file.shared.frames.map(({ name }: { name: string }) => name);
    expect(names).toEqual(["api.start (api)", "vmm.swap (hostd)"]);
    expect(file.profiles).toMatchObject([
      { type: "sampled", endValue: 90_000, samples: [[0], [0, 1]], weights: [20_000, 70_000] },
    ]);
  });

  test("as JSON has the newest so many operations", async () => {
    const { operations } = await get("/api/export?format=json&limit=2");

    expect(operations).toHaveLength(2);
    expect(operations[0]).toHaveProperty("hops");
  });
});

describe("hostile requests", () => {
  test.each([
    ["/api/overview?since=x&until=y&colour=1&min=z", ["since", "until", "colour", "min"]],
    ["/api/latency?by=colour", ["by"]],
    ["/api/latency?kind=nap&by=colour", ["by", "kind"]],
    ["/api/points?kind=nap&limit=0", ["kind", "limit"]],
    ["/api/points?limit=5001", ["limit"]],
    ["/api/differences", ["box"]],
    ["/api/compare?a=since%3Dx&c=1", ["c", "b", "a.since"]],
    ["/api/export?format=xml&trace=1&since=x", ["format", "trace", "since"]],
    [`/api/overview?${"host=a&".repeat(40)}`, ["host"]],
    ["/api/overview?constructor=1&__proto__=2", ["constructor", "__proto__"]],
  ])("are refused with every wrong parameter: %s", async (path, fields) => {
    const answer = await console.get(path, token);

    const { error } = await json(answer);
    expect([answer.status, error.reason]).toEqual([400, "INVALID_FIELDS"]);
    const named = error.violations.map(({ field }: { field: string }) => field);
    expect(named.toSorted()).toEqual(fields.toSorted());
  });

  test.each([
    ["/../../etc/passwd", 404],
    ["/assets/..%2f..%2f..%2fetc/passwd", 404],
    ["/%00", 404],
    ["/%E0%A4%A", 400],
    ["/assets", 404],
    ["/index.html/", 404],
    [`/${"a".repeat(5_000)}`, 404],
    [`/${"a".repeat(40_000)}`, 431],
  ])("for files outside of the page find nothing: %s", async (path, status) => {
    const answer = await rawRequest(console.port, path, { host: `127.0.0.1:${console.port}` });

    expect(answer.status).toBe(status);
    expect(answer.body).not.toContain("root:");
  });

  test("by methods and bodies that nothing takes are refused", async () => {
    const host = { host: `127.0.0.1:${console.port}` };
    const put = await rawRequest(console.port, "/api/overview", host, "PUT");
    const large = await fetch(`${console.url}/api/links`, {
      method: "POST",
      headers: { authorization: token, "content-type": "application/json" },
      body: JSON.stringify({ view: "/".repeat(20_000) }),
    });

    expect([put.status, large.status]).toEqual([404, 400]);
  });
});

test("downloads that nobody reads are bounded for an organisation, and keep nobody else out", async () => {
  const heavy = await startTestConsole(
    Array.from({ length: 4_000 }, () => recent({ app: "x".repeat(2_000), image: "y".repeat(2_000) })),
  );
  const open = async (authorization: string) => {
    const socket = connect(heavy.port, "127.0.0.1");
    const head = `GET /api/export?format=json HTTP/1.1\r\nhost: 127.0.0.1:${heavy.port}`;
    socket.write(`${head}\r\nauthorization: ${authorization}\r\n\r\n`);
    await once(socket, "readable");
    return socket;
  };

  const sockets = await Promise.all([1, 2, 3, 4].map(() => open(token)));
  const more = await heavy.get("/api/export?format=csv&limit=1", token);
  const other = await heavy.get("/api/export?format=csv&limit=1", await bearer("rival", "machines:read"));
  for (const socket of sockets) socket.destroy();

  expect([more.status, other.status]).toEqual([429, 200]);
  await expect.poll(async () => (await heavy.get("/api/export?format=csv&limit=1", token)).status).toBe(200);
  await heavy.close();
});

describe("the page", () => {
  test.each(["/", "/assets/main-ABCD2345.js", "/nothing", "/api/overview", "/healthz", "/api/session"])(
    "runs nothing of others: %s has the headers",
    async (path) => {
      const { headers } = await console.get(path);

      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/,
      );
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    },
  );

  test("is asked for again, and its parts are kept: they are named by what is in them", async () => {
    const page = await console.get("/");
    const part = await console.get("/assets/main-ABCD2345.js", undefined, { "accept-encoding": "br" });
    const etag = page.headers.get("etag") ?? "";
    const again = await console.get("/", undefined, { "if-none-match": etag });

    expect([page.headers.get("content-type"), page.headers.get("cache-control")]).toEqual([
      ...["text/html; charset=utf-8", "no-cache"],
    ]);
    expect(part.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(part.headers.get("content-encoding")).toBe("br");
    expect(await part.text()).toMatch(/^console\.log\(1+\)$/);
    expect(again.status).toBe(304);
  });

  test.each([
    ["gzip, br;q=0", "gzip"],
    ["BR;q=0.0, gzip;q=0", null],
    ["identity", null],
  ])("is not sent in codings that the browser refuses: %s", async (accepted, coding) => {
    const part = await console.get("/assets/main-ABCD2345.js", undefined, { "accept-encoding": accepted });

    expect(part.headers.get("content-encoding")).toBe(coding);
  });
});
