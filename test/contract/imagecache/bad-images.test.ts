import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/imagecache/flatten/limits.ts";
import type { Fault } from "../../../src/lib/faults/fault.ts";
import {
  type BuiltImage,
  buildImage,
  buildIndex,
  FakeRegistry,
  type ImageSpec,
  sha256,
  type TarEntry,
} from "../../support/oci/index.ts";
import { startImageCache, type TestImageCache } from "./fixture.ts";

let registry: FakeRegistry;
let cache: TestImageCache;
beforeAll(async () => {
  registry = await FakeRegistry.start();
  const limits = { ...DEFAULT_LIMITS, maxBytes: 30_000_000, maxEntries: 5_000, ratioFreeBytes: 5_000_000 };
  cache = await startImageCache({ limits });
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
beforeEach(() => {
  registry.script = () => undefined;
});

/** Pulls an image that must be refused, and checks that nothing but layers is left behind. */
async function refused(name: string, image: BuiltImage): Promise<Fault> {
  registry.add(name, "latest", image);
  return refusedReference(`${registry.host}/${name}:latest`, image.digest);
}

async function refusedReference(reference: string, digest: string): Promise<Fault> {
  const fault: Fault = await cache.ensure(reference, digest, "m1").then(
    () => expect.fail("the image was accepted"),
    (err) => err,
  );
  expect(fault.facts["reference"]).toContain(reference);
  expect(fault.message).toContain(reference);
  for (const place of ["rootfs", "tmp", "pins"]) expect(readdirSync(join(cache.dir, place))).toEqual([]);
  return fault;
}

const layer = (entries: TarEntry[], spec: Partial<ImageSpec> = {}) =>
  buildImage({ layers: [[{ path: "ok" }], entries], ...spec });

describe("what is not there, or not for us", () => {
  test("a repository the registry does not have", async () => {
    const { digest } = layer([]);
    const fault = await refusedReference(`${registry.host}/nowhere:latest`, digest);

    expect(fault).toMatchObject({ code: "NOT_FOUND", reason: "IMAGE_NOT_FOUND", facts: { digest } });
  });

  test("a registry that is down", async () => {
    const fault = await refusedReference("127.0.0.1:1/x:latest", layer([]).digest);

    expect(fault).toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      facts: { registry: "127.0.0.1:1" },
    });
  });

  test.each([401, 403])("a registry that answers %d", async (status) => {
    const image = layer([{ path: String(status) }]);
    registry.script = () => ({ status });

    const fault = await refused("private", image);

    expect(fault).toMatchObject({ code: "PERMISSION_DENIED", reason: "REGISTRY_UNAUTHORIZED" });
    expect(fault.message).toContain("REGISTRY_AUTH_FILE");
  });

  test("an image for other platforms only", async () => {
    const image = buildIndex(
      ["arm64", "riscv64"].map((architecture) => ({
        image: buildImage({ layers: [], platform: { os: "linux", architecture } }),
        os: "linux",
        architecture,
      })),
    );

    const fault = await refused("platforms", image);

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "PLATFORM_NOT_AVAILABLE",
      facts: { digest: image.digest, available: "linux/arm64, linux/riscv64" },
    });
  });

  test("a blob that its manifest names and the registry does not have", async () => {
    const image = layer([{ path: "gone" }]);
    registry.script = (r) => (r.target === image.layers[1]?.digest ? { status: 404 } : undefined);

    const fault = await refused("gone", image);

    expect(fault).toMatchObject({
      reason: "IMAGE_NOT_FOUND",
      facts: { layer: image.layers[1]?.digest, layer_index: "1" },
    });
  });
});

describe("what is not an image", () => {
  const custom = (body: object | string, mediaType: string): BuiltImage => {
    const manifest = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    return { digest: sha256(manifest), manifest, mediaType, blobs: new Map(), children: [], layers: [] };
  };
  const oci = "application/vnd.oci.image.manifest.v1+json";
  const descriptor = { mediaType: "text/plain", digest: sha256(Buffer.from("")), size: 0 };

  test.each([
    [
      "a chart",
      custom(
        {
          schemaVersion: 2,
          config: { ...descriptor, mediaType: "application/vnd.cncf.helm.config.v1+json" },
          layers: [],
        },
        oci,
      ),
    ],
    [
      "an image of Docker's first format",
      custom({ schemaVersion: 1, name: "x", fsLayers: [] }, "application/json"),
    ],
    ["text", custom("hello", oci)],
    ["a list", custom("[1]", oci)],
    [
      "a manifest with a digest of another algorithm",
      custom({ schemaVersion: 2, config: { ...descriptor, digest: "md5:1" }, layers: [] }, oci),
    ],
    ["five megabytes of manifest", custom(" ".repeat(5_000_000), oci)],
    [
      "an image whose configuration has too few layers",
      buildImage({ layers: [[]], tamper: (m) => m.layers.push(...m.layers) }),
    ],
  ])("%s", async (_, image) => {
    const fault = await refused("not-an-image", image);

    expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "NOT_AN_IMAGE" });
  });

  test("a layer of a type that is no archive", async () => {
    const image = layer([], {
      layerTypes: ["application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.wasm.module"],
    });

    const fault = await refused("wasm", image);

    expect(fault).toMatchObject({
      reason: "LAYER_TYPE_UNKNOWN",
      facts: { layer: image.layers[1]?.digest, layer_index: "1", media_type: "application/vnd.wasm.module" },
    });
  });

  test("a layer that is compressed with xz", async () => {
    const xz = Buffer.from("fd377a585a000004e6d6b4460000000000000000", "hex");
    const image = buildImage({ layers: [xz], compression: "none" });

    const fault = await refused("xz", image);

    expect(fault).toMatchObject({ reason: "LAYER_TYPE_UNKNOWN", facts: { compression: "xz" } });
  });
});
