import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { createLogger } from "../../../src/lib/runtime/log.ts";
import { metric } from "../../support/telemetry/metrics-page.ts";
import { Client, TestProxy, unusedPort } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);

let proxy: TestProxy;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  lines = [];
  createLogger("proxy", { write: (line) => lines.push(JSON.parse(line)) });
  exporter.reset();
  proxy = await TestProxy.start({ accessLog: true });
});
afterEach(() => proxy.close());
afterAll(() => {
  createLogger("test");
});

const WAKE = { path: "warm", queueMs: 5, startMs: 20, readyMs: 10, traceId: "c".repeat(32) };

test("each request is a line of the log, without its query", async () => {
  await proxy.app("app", (req, res) => req.resume().on("end", () => res.writeHead(201).end("hello")), {
    wake: WAKE,
  });

  await proxy.fetch("app.localhost", "/a?token=secret", { method: "POST", body: "abc" });

  await expect.poll(() => lines.length).toBe(1);
  expect(lines[0]).toMatchObject({
    msg: "request",
    client: "127.0.0.1",
    ...{ port: 80, tls: false, http: "1.1", method: "POST", host: "app.localhost", path: "/a" },
    ...{ app: "app", org: "acme", machine: "m1", region: "dev", status: 201 },
    ...{ bytes_in: 3, bytes_out: 5, start_path: "warm", start_trace: "c".repeat(32) },
    trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("a request that fails says why in its line, and one whose client leaves has no status", async () => {
  let isAsked = false;
  await proxy.app("dead", [{ id: "d", port: await unusedPort() }], { service: { wakeTimeoutMs: 1 } });
  await proxy.app("slow", () => {
    isAsked = true;
  });

  await proxy.fetch("dead.localhost");
  const client = new Client(proxy.port);
  client.write("GET / HTTP/1.1\r\nHost: slow.localhost\r\n\r\n");
  await expect.poll(() => isAsked).toBe(true);
  client.socket.destroy();

  await expect.poll(() => lines.length).toBe(2);
  expect(lines[0]).toMatchObject({ app: "dead", status: 502, error: "UNREACHABLE" });
  expect(lines[0]?.["problem"]).toContain("ECONNREFUSED");
  expect(lines[1]).toMatchObject({ app: "slow", status: 0, problem: "the client has left" });
});

test("spans show the queue, the start, readiness and the program below the request", async () => {
  let traceparent = "";
  await proxy.app(
    "app",
    (req, res) => {
      traceparent = String(req.headers["traceparent"]);
      res.end();
    },
    { wake: WAKE },
  );
  const trace = "0af7651916cd43dd8448eb211c80319c";

  await proxy.fetch("app.localhost", "/", { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });

  await expect.poll(() => exporter.getFinishedSpans().length).toBe(6);
  const spans = exporter.getFinishedSpans();
  const root = spans.find(({ name }) => name === "proxy.request");
  const childrenOf = (parent = root) =>
    spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent?.spanContext().spanId);
  const [wake] = childrenOf();
  const below = childrenOf(wake);
  expect(root?.parentSpanContext?.spanId).toBe("b7ad6b7169203331");
  expect(root?.attributes).toMatchObject({ "http.response.status_code": 200, "windhover.app": "app" });
  expect(wake?.name).toBe("proxy.wake");
  expect(wake?.attributes).toMatchObject({ "windhover.app": "app" });
  expect(below.map(({ name }) => name).sort()).toEqual([
    ...["proxy.application", "proxy.queue", "proxy.readiness", "proxy.start"],
  ]);
  const application = below.find(({ name }) => name === "proxy.application");
  expect(traceparent).toBe(`00-${trace}-${application?.spanContext().spanId}-01`);
  expect(proxy.router.asks[0]?.traceparent).toBe(`00-${trace}-${root?.spanContext().spanId}-01`);
});

test("requests are counted by app and class of status, errors by code", async () => {
  await proxy.app("counted", (_req, res) => res.end("12345"));
  const read = (name: string, labels: Record<string, string> = {}) =>
    metric(`windhover_proxy_${name}`, labels);
  const before = (await read("errors_total", { code: "NO_SUCH_APP" })) ?? 0;

  await proxy.fetch("counted.localhost");
  await proxy.fetch("counted.localhost");
  await proxy.fetch("nobody.localhost");

  await expect.poll(() => read("requests_total", { app: "counted", status: "2xx" })).toBe(2);
  expect(await read("requests_total", { app: "_none", status: "4xx" })).toBeGreaterThan(0);
  expect(await read("request_duration_seconds_count", { app: "counted" })).toBe(2);
  expect(await read("errors_total", { code: "NO_SUCH_APP" })).toBe(before + 1);
  await expect.poll(() => read("requests_in_progress")).toBe(0);
});
