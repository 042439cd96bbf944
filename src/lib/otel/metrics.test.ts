import { expect, test } from "vitest";
import { Fault } from "../faults/fault.ts";
import {
  counter,
  counterOf,
  gauge,
  gaugeBy,
  outcomeOf,
  registry,
  secondsHistogram,
  serveMetrics,
} from "./metrics.ts";

test("metrics and health are served over HTTP, anything else is not found", async () => {
  let healthy = true;
  const close = await serveMetrics("127.0.0.1:0", () => healthy);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${close.port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  counter("test_total", "A test.", ["start_path"]).inc({ start_path: "warm" }, 2);
  gauge("test_depth", "A test.", () => 7);
  secondsHistogram("test_seconds", "A test.").observe(0.02);

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
