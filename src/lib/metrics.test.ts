import { expect, test } from "vitest";
import { counter, gauge, secondsHistogram, serveMetrics } from "./metrics.ts";

test("metrics and health are served over HTTP, anything else is not found", async () => {
  let healthy = true;
  const close = await serveMetrics("127.0.0.1:0", () => healthy);
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${close.port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  counter("test_total", "A test.", ["way"]).inc({ way: "warm" }, 2);
  gauge("test_depth", "A test.", () => 7);
  secondsHistogram("test_seconds", "A test.").observe(0.02);

  const metrics = await get("/metrics?x=1");
  const up = await get("/healthz");
  healthy = false;
  const down = await get("/healthz");
  const other = await get("/");
  await close();

  expect(metrics.body).toContain('test_total{way="warm"} 2');
  expect(metrics.body).toContain("test_depth 7");
  expect(metrics.body).toContain('test_seconds_bucket{le="0.025"} 1');
  expect(metrics.body).toContain("process_resident_memory_bytes");
  expect([metrics.status, up.status, down.status, other.status]).toEqual([200, 200, 503, 404]);
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

  await close();
});
