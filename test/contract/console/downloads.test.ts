import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer } from "../traces/support.ts";
import { SLOW, startConsoleOfStarts } from "./starts.ts";
import { json, recent, startTestConsole, type TestConsole } from "./support.ts";

const token = await bearer("acme", "machines:read");
let console: TestConsole;

beforeAll(async () => {
  console = await startConsoleOfStarts();
});
afterAll(() => console.close());

const get = (path: string) => json(console.get(path, token));

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
