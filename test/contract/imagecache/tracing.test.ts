import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { beforeEach, expect, test } from "vitest";
import { startTelemetry } from "../../../src/lib/otel/telemetry.ts";
import { withSpan } from "../../../src/lib/otel/tracing.ts";
import { buildImage, FakeRegistry } from "../../support/oci/index.ts";
import { startImageCache } from "./fixture.ts";

const exporter = new InMemorySpanExporter();
startTelemetry({}, [new SimpleSpanProcessor({ exporter })]);
beforeEach(() => exporter.reset());

const spans = (name: string): ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === name);

test("a pull is part of its caller's trace, with a span for each step and what decides how long it takes", async () => {
  await using registry = await FakeRegistry.start();
  await using cache = await startImageCache();
  const image = buildImage({ layers: [[{ path: "a", content: "x".repeat(5000) }], [{ path: "b" }]] });
  registry.add("traced", "latest", image);

  await withSpan("create", {}, () => cache.ensure(`${registry.host}/traced`, image.digest));
  await expect.poll(() => spans("windhover.imagecache.v1.ImageCacheService/EnsureImage")).toHaveLength(2);

  const [create] = spans("create");
  const [pull] = spans("imagecache.pull");
  const steps = [
    "imagecache.resolve",
    "imagecache.download",
    "imagecache.flatten",
    "imagecache.squash",
  ].flatMap(spans);
  expect(steps.map((span) => span.name.slice("imagecache.".length))).toEqual([
    "resolve",
    "download",
    "download",
    "flatten",
    "squash",
  ]);
  for (const span of [pull, ...steps])
    expect(span?.spanContext().traceId).toBe(create?.spanContext().traceId);
  for (const span of steps) expect(span.parentSpanContext?.spanId).toBe(pull?.spanContext().spanId);
  expect(pull?.attributes).toMatchObject({
    "windhover.image.digest": image.digest,
    "windhover.image.reference": expect.stringContaining(`${registry.host}/traced`),
  });
  const downloads = spans("imagecache.download").map((span) => span.attributes);
  for (const { digest, size } of image.layers) {
    expect(downloads).toContainEqual({
      "windhover.image.layer": digest,
      "windhover.image.layer_cached": false,
      "windhover.bytes.compressed": size,
      "windhover.bytes.received": size,
    });
  }
  expect(spans("imagecache.flatten")[0]?.attributes).toMatchObject({
    "windhover.image.layers": 2,
    "windhover.image.entries": 3,
    "windhover.bytes.uncompressed": expect.any(Number),
  });
  expect(spans("imagecache.squash")[0]?.attributes).toMatchObject({
    "windhover.bytes.rootfs": expect.any(Number),
  });
});

test("a step that fails says why on its span", async () => {
  await using registry = await FakeRegistry.start();
  await using cache = await startImageCache();
  const image = buildImage({ layers: [[{ path: "../x" }]] });
  registry.add("escapes", "latest", image);

  await expect(cache.ensure(`${registry.host}/escapes`, image.digest)).rejects.toThrow();

  expect(spans("imagecache.flatten")[0]?.attributes).toMatchObject({
    "windhover.error.reason": "LAYER_PATH_ESCAPES",
  });
});
