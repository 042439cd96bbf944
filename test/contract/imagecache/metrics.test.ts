import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { registry as metrics } from "../../../src/lib/otel/metrics.ts";
import { FakeRegistry } from "../../support/oci/index.ts";
import { metric } from "../../support/telemetry/metrics-page.ts";
import { MISSING, openEnsure, publishTo, startImageCache } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());
beforeEach(() => metrics.resetMetrics());

test("a request is a miss, a hit or an error, and bytes count when they come over the network", async () => {
  await using cache = await startImageCache();
  const { reference, image } = publishTo(registry, "counted");

  const { ready } = await cache.ensure(reference, image.digest);
  await cache.ensure(reference, image.digest);
  await expect(cache.ensure(reference, MISSING)).rejects.toThrow();

  const results = ["miss", "hit", "error"].map((result) =>
    metric("windhover_image_requests_total", { result }),
  );
  expect(await Promise.all(results)).toEqual([1, 1, 1]);
  expect(ready.downloadedBytes).toBeGreaterThan(0n);
  expect(await metric("windhover_image_pull_bytes_total")).toBe(Number(ready.downloadedBytes));
});

test("a pull that two wait for is one pull and two misses", async () => {
  await using cache = await startImageCache();
  const { reference, image } = publishTo(registry, "shared");

  await Promise.all([cache.ensure(reference, image.digest), cache.ensure(reference, image.digest)]);

  expect(await metric("windhover_image_requests_total", { result: "miss" })).toBe(2);
  expect(await metric("windhover_image_pull_duration_seconds_count", { outcome: "ok" })).toBe(1);
});

test("a caller who goes away has caused no error", async () => {
  await using cache = await startImageCache();
  const { reference, image } = publishTo(registry, "abandoned", randomBytes(1_000_000));

  for await (const _ of openEnsure(cache.client, reference, image.digest)) break;

  await expect.poll(() => metric("windhover_image_pull_duration_seconds_count")).toBeGreaterThan(0);
  expect(await metric("windhover_image_requests_total", { result: "error" })).toBeUndefined();
});

test("what is evicted is counted by kind, with its size", async () => {
  await using cache = await startImageCache({ budgetBytes: 5_000_000 });
  for (const name of ["evicted-1", "evicted-2", "evicted-3"]) {
    const { reference, image } = publishTo(registry, name, randomBytes(1_000_000));
    await cache.ensure(reference, image.digest);
  }

  const [images, layers] = [
    await metric("windhover_image_evictions_total", { kind: "image" }),
    await metric("windhover_image_evictions_total", { kind: "layer" }),
  ];
  expect((images ?? 0) + (layers ?? 0)).toBeGreaterThan(0);
  expect(await metric("windhover_image_evicted_bytes_total")).toBeGreaterThanOrEqual(1_000_000);
});
