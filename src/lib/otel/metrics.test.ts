import { AlwaysOnSampler, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Fault } from "../faults/fault.ts";
import { counter, counterOf, gauge, gaugeBy, outcomeOf, registry, secondsHistogram } from "./metrics.ts";
import { serveMetrics } from "./metrics-server.ts";

test("metrics and health are served over HTTP, anything else is not found", async () => {
  let healthy = true;
  const close = await serveMetrics("127.0.0.1:0", () => healthy);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${close.port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  counter("test_total", "A test.", ["start_path"]).inc({ start_path: "warm" }, 2);
  gauge("test_depth", "A test.", () => 7);
  secondsHistogram("test_seconds", "A test.").observe({}, 0.02);

  const metrics = await get("/metrics?x=1");
  const up = await get("/healthz");
  healthy = false;
  const down = await get("/healthz");
  const other = await get("/");
  await close();

  expect(metrics.body).toContain('test_total{start_path="warm"} 2');
  expect(metrics.body).toContain("test_depth 7");
  expect(metrics.body).toContain('test_seconds_bucket{le="0.025"} 1');
  expect(metrics.body).toContain("process_resident_memory_bytes");
  expect([metrics.status, up.status, down.status, other.status]).toEqual([200, 200, 503, 404]);
});

test("what is read when it is asked for is as it is then, and what is gone is not exposed", async () => {
  let pools: [string, number][] = [
    ["small", 1],
    ["large", 2],
  ];
  let counted = 5;
  gaugeBy("test_pools", "A test.", "shape", () => pools);
  counterOf("test_seen_total", "A test.", () => counted);

  const first = await registry.metrics();
  pools = [["large", 3]];
  counted = 6;
  const second = await registry.metrics();

  expect(first).toContain('test_pools{shape="small"} 1');
  expect(first).toContain("test_seen_total 5");
  expect(second).not.toContain("small");
  expect(second).toContain('test_pools{shape="large"} 3');
  expect(second).toContain("test_seen_total 6");
});

test("an error's class says whose doing it was", () => {
  const outcomes = [
    new Fault("CANCELLED", "CANCELLED", ""),
    new Fault("RESOURCE_EXHAUSTED", "NO_ROOM", ""),
    new Fault("UNAVAILABLE", "GONE", ""),
    new Error("a bug"),
  ].map(outcomeOf);

  expect(outcomes).toEqual(["cancelled", "refused", "failed", "failed"]);
});

test("a taken address is a fault that names the variable", async () => {
  const close = await serveMetrics("127.0.0.1:0");
  const address = `127.0.0.1:${close.port}`;

  await expect(serveMetrics(address, () => true, "API_METRICS")).rejects.toMatchObject({
    reason: "ADDRESS_IN_USE",
    message: `${address} is in use; set API_METRICS to another`,
  });

  await close();
});

test("a client that keeps its connection open does not hold up the end", async () => {
  const close = await serveMetrics("127.0.0.1:0");
  const response = await fetch(`http://127.0.0.1:${close.port}/healthz`, { keepalive: true });
  await response.text();

  await expect(close()).resolves.toBeUndefined();
});

describe("a page of metrics", () => {
  const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
  const PLAIN = "text/plain; version=0.0.4; charset=utf-8";
  let page: Awaited<ReturnType<typeof serveMetrics>>;

  beforeAll(async () => {
    page = await serveMetrics("127.0.0.1:0");
  });
  afterAll(() => page());

  const read = async (accept?: string) => {
    const headers = accept === undefined ? {} : { accept };
    const answer = await fetch(`http://127.0.0.1:${page.port}/metrics`, { headers });
    return { type: answer.headers.get("content-type"), body: await answer.text() };
  };

  test.each([
    [
      "Prometheus 2.42 asks",
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
      OPEN_METRICS,
    ],
    [
      "Prometheus 3 asks",
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
      OPEN_METRICS,
    ],
    [
      "a client wants it more than plain text",
      "text/plain;q=0.2, application/openmetrics-text",
      OPEN_METRICS,
    ],
    [
      "a client wants it less than plain text",
      "text/plain, application/openmetrics-text;version=1.0.0;q=0.5",
      PLAIN,
    ],
    ["a client wants another version of it", "application/openmetrics-text;version=2.0.0", PLAIN],
    ["a client does not want it", "application/openmetrics-text;q=0, */*", PLAIN],
    ["a weight is none", "application/openmetrics-text;q=x", PLAIN],
    ["a client takes anything", "*/*", PLAIN],
  ])("when %s, has the form that is asked for", async (_, accept, type) => {
    expect((await read(accept)).type).toBe(type);
  });

  test("has exemplars in OpenMetrics alone, and the same series in both", async () => {
    const seconds = secondsHistogram("test_traced_seconds", "A test.", ["path"], [0.1, 1]);
    counter("test_traced_total", "A test.").inc();
    const tracers = new TracerProvider({ sampler: new AlwaysOnSampler() });
    const span = tracers.getTracer("test").startSpan("start");
    const { traceId, spanId } = span.spanContext();
    seconds.observe({ path: "warm" }, 0.05, span);
    seconds.observe({ path: "warm" }, 5, "0af7651916cd43dd8448eb211c80319c");
    span.end();
    seconds.observe({ path: "warm" }, 0.6, `"} ${"x".repeat(200)}`);
    // What has ended may not have been kept.
    seconds.observe({ path: "warm" }, 0.5, span);

    const open = (await read(OPEN_METRICS)).body;
    const plain = (await read(PLAIN)).body;

    const buckets = open.split("\n").filter((line) => line.startsWith("test_traced_seconds_bucket"));
    expect(buckets).toEqual([
      expect.stringMatching(
        `^test_traced_seconds_bucket{le="0.1",path="warm"} 1 # {trace_id="${traceId}",span_id="${spanId}"} 0.05 [0-9.]+$`,
      ),
      'test_traced_seconds_bucket{le="1",path="warm"} 3',
      expect.stringMatching(
        /^test_traced_seconds_bucket\{le="\+Inf",path="warm"\} 4 # \{trace_id="0af7651916cd43dd8448eb211c80319c"\} 5 [0-9.]+$/,
      ),
    ]);
    expect(plain).toContain('test_traced_seconds_bucket{le="+Inf",path="warm"} 4\n');
    expect(plain).not.toContain(traceId);
    expect(open).toMatch(/# TYPE test_traced counter\ntest_traced_total 1\n/);
    expect(plain).toMatch(/# TYPE test_traced_total counter\ntest_traced_total 1\n/);
    expect(open.endsWith("\n# EOF\n")).toBe(true);
  });
});
