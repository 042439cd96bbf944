import { readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildImage, writeTar } from "../../../support/oci/index.ts";
import { RefusingCache, twoLayers } from "./refused.ts";

let bad: RefusingCache;
beforeAll(async () => {
  bad = await RefusingCache.start();
});
afterAll(() => bad[Symbol.asyncDispose]());
beforeEach(() => {
  bad.registry.script = () => undefined;
});

describe("what was changed on the way, or is broken", () => {
  test("a manifest that is not the one asked for", async () => {
    const image = twoLayers([{ path: "m" }]);
    bad.registry.script = (r) => (r.kind === "manifest" ? { replace: twoLayers([]).manifest } : undefined);

    const fault = await bad.refused("manifest", image);

    expect(fault).toMatchObject({
      code: "DATA_LOSS",
      reason: "IMAGE_DIGEST_MISMATCH",
      facts: { expected: image.digest, actual: twoLayers([]).digest },
    });
  });

  test.each<[string, (layer: Buffer) => Buffer, string]>([
    ["other bytes of the right length", (b) => Buffer.alloc(b.length, 1), "IMAGE_DIGEST_MISMATCH"],
    ["more bytes than it should have", (b) => Buffer.concat([b, b]), "IMAGE_DIGEST_MISMATCH"],
    ["fewer bytes than it should have", (b) => b.subarray(0, 20), "LAYER_TRUNCATED"],
  ])("a layer of %s", async (name, change, reason) => {
    const image = twoLayers([{ path: name, content: "x".repeat(5000) }]);
    const target = image.layers[1];
    const replace = change(image.blobs.get(target?.digest ?? "") ?? Buffer.alloc(0));
    bad.registry.script = (r) => (r.target === target?.digest ? { replace } : undefined);

    const fault = await bad.refused("changed", image);

    expect(fault).toMatchObject({
      code: "DATA_LOSS",
      reason,
      facts: { layer: target?.digest, layer_index: "1" },
    });
    expect(readdirSync(join(bad.cache.dir, "blobs"))).not.toContain(target?.digest.slice(7));
  });

  test("a layer that does not unpack to what the configuration says", async () => {
    const other = twoLayers([{ path: "other" }]);
    const image = twoLayers([{ path: "this" }], {
      tamper: (m) => {
        const wrong = other.layers[1];
        if (wrong) m.layers[1] = wrong;
      },
    });
    const blobs = new Map([...image.blobs, ...other.blobs]);

    const fault = await bad.refused("diff-id", { ...image, blobs });

    expect(fault).toMatchObject({
      reason: "IMAGE_DIGEST_MISMATCH",
      facts: { layer: other.layers[1]?.digest },
    });
  });

  const tar = writeTar([{ path: "file", content: "y".repeat(100_000) }]);
  const packed = (bytes: Buffer) => buildImage({ layers: [bytes], compression: "none" });
  test.each([
    ["gzip that ends early", packed(gzipSync(tar).subarray(0, -20)), "LAYER_TRUNCATED"],
    [
      "zstd that ends early in its second frame",
      packed(Buffer.concat([zstdCompressSync(tar), zstdCompressSync(tar).subarray(0, -10)])),
      "LAYER_TRUNCATED",
    ],
    ["zstd that ends early", packed(zstdCompressSync(tar).subarray(0, -10)), "LAYER_TRUNCATED"],
    [
      "an archive that ends within a file",
      buildImage({ layers: [tar.subarray(0, 50_000)] }),
      "LAYER_TRUNCATED",
    ],
    ["gzip with a flipped bit", packed(flip(gzipSync(tar), 40)), "LAYER_CORRUPT"],
    ["zstd with a flipped bit", packed(flip(zstdCompressSync(tar), 30)), "LAYER_CORRUPT"],
    ["something that is no archive", packed(Buffer.alloc(2048, 65)), "LAYER_CORRUPT"],
    [
      "an entry of an unknown type",
      buildImage({ layers: [[{ path: "z", typeflag: "Z" }]] }),
      "LAYER_CORRUPT",
    ],
  ])("a layer with %s", async (_, image, reason) => {
    const fault = await bad.refused("broken", image);

    expect(fault).toMatchObject({ reason, facts: { layer: image.layers[0]?.digest, layer_index: "0" } });
  });
});

describe("what would do harm", () => {
  test.each([
    ["a path that climbs out", [{ path: "../../etc/cron.d/x" }]],
    ["a hard link to the outside", [{ path: "x", type: "hardlink" as const, link: "/../../etc/shadow" }]],
  ])("%s", async (_, entries) => {
    const image = twoLayers(entries);

    const fault = await bad.refused("escapes", image);

    expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "LAYER_PATH_ESCAPES" });
    expect(fault.facts).toMatchObject({ layer: image.layers[1]?.digest, layer_index: "1" });
    expect(fault.facts["path"]).toBeDefined();
  });

  test.each([
    ["zeros that were packed", [{ path: "zeros", content: Buffer.alloc(30_000_000) }], "30000000 bytes"],
    [
      "a file of holes",
      [{ path: "holes", sparse: { format: "pax-1.0" as const, size: 1e12, chunks: [] } }],
      "30000000 bytes",
    ],
    [
      "the same attributes for each of many entries",
      Array.from({ length: 300 }, (_, i) => ({ path: `f${i}`, xattrs: { "user.a": "x".repeat(40_000) } })),
      "10000000 attribute bytes",
    ],
    [
      "more entries than there can be",
      Array.from({ length: 6_000 }, (_, i) => ({ path: `f${i}` })),
      "5000 entries",
    ],
  ])("%s", async (_, entries, limit) => {
    const fault = await bad.refused("bomb", twoLayers(entries));

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "LAYER_TOO_LARGE",
      facts: { limit, layer_index: "1" },
    });
  });

  test("layers that announce more than this host accepts", async () => {
    const image = twoLayers([], {
      tamper: (m) => {
        for (const l of m.layers) l.size = 20_000_000;
      },
    });

    const fault = await bad.refused("large", image);

    expect(fault).toMatchObject({
      reason: "IMAGE_TOO_LARGE",
      facts: { limit: "30000000", value: "40000000" },
    });
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}
