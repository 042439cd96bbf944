import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type BuiltImage, buildImage, buildIndex, sha256 } from "../../../support/oci/index.ts";
import { RefusingCache, twoLayers } from "./refused.ts";

let bad: RefusingCache;
beforeAll(async () => {
  bad = await RefusingCache.start();
});
afterAll(() => bad[Symbol.asyncDispose]());
beforeEach(() => {
  bad.registry.script = () => undefined;
});

describe("how an image is run", () => {
  test("an unknown StopSignal is named", async () => {
    const image = buildImage({ layers: [[{ path: "signal" }]], config: { StopSignal: "SIGFOO" } });

    const fault = await bad.refused("signal", image);

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_CONFIG_INVALID",
      facts: { digest: image.digest, fields: "StopSignal" },
    });
    expect(fault.message).toContain('StopSignal "SIGFOO" is no signal');
  });
});

describe("what is not there, or not for us", () => {
  test("a repository the registry does not have", async () => {
    const { digest } = twoLayers([]);
    const fault = await bad.refusedReference(`${bad.registry.host}/nowhere:latest`, digest);

    expect(fault).toMatchObject({ code: "NOT_FOUND", reason: "IMAGE_NOT_FOUND", facts: { digest } });
  });

  test("a registry that is down", async () => {
    const fault = await bad.refusedReference("127.0.0.1:1/x:latest", twoLayers([]).digest);

    expect(fault).toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      facts: { registry: "127.0.0.1:1" },
    });
  });

  test.each([401, 403])("a registry that answers %d", async (status) => {
    const image = twoLayers([{ path: String(status) }]);
    bad.registry.script = () => ({ status });

    const fault = await bad.refused("private", image);

    expect(fault).toMatchObject({ code: "PERMISSION_DENIED", reason: "REGISTRY_UNAUTHORIZED" });
    expect(fault.message).toContain("hover registry login");
  });

  test("an image for other platforms only", async () => {
    const image = buildIndex(
      ["arm64", "riscv64"].map((architecture) => ({
        image: buildImage({ layers: [], platform: { os: "linux", architecture } }),
        os: "linux",
        architecture,
      })),
    );

    const fault = await bad.refused("platforms", image);

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "PLATFORM_NOT_AVAILABLE",
      facts: { digest: image.digest, available: "linux/arm64, linux/riscv64" },
    });
  });

  test("a blob that its manifest names and the registry does not have", async () => {
    const image = twoLayers([{ path: "gone" }]);
    bad.registry.script = (r) => (r.target === image.layers[1]?.digest ? { status: 404 } : undefined);

    const fault = await bad.refused("gone", image);

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
    const fault = await bad.refused("not-an-image", image);

    expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "NOT_AN_IMAGE" });
  });

  test("a layer of a type that is no archive", async () => {
    const image = twoLayers([], {
      layerTypes: ["application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.wasm.module"],
    });

    const fault = await bad.refused("wasm", image);

    expect(fault).toMatchObject({
      reason: "LAYER_TYPE_UNKNOWN",
      facts: { layer: image.layers[1]?.digest, layer_index: "1", media_type: "application/vnd.wasm.module" },
    });
  });

  test("a layer that is compressed with xz", async () => {
    const xz = Buffer.from("fd377a585a000004e6d6b4460000000000000000", "hex");
    const image = buildImage({ layers: [xz], compression: "none" });

    const fault = await bad.refused("xz", image);

    expect(fault).toMatchObject({ reason: "LAYER_TYPE_UNKNOWN", facts: { compression: "xz" } });
  });
});
