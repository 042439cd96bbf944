import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../../../src/imagecache/flatten/limits.ts";
import { type BuiltImage, buildImage, FakeRegistry, type TarEntry } from "../../../support/oci/index.ts";
import { catSquashfs, readSquashfs, startImageCache, type TestImageCache, xattrsOf } from "../fixture.ts";

let registry: FakeRegistry;
let cache: TestImageCache;
beforeAll(async () => {
  registry = await FakeRegistry.start();
  cache = await startImageCache({ budgetBytes: 4e9 });
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

/** Makes an image local. @returns path of the root file system */
async function make(name: string, image: BuiltImage): Promise<string> {
  registry.add(name, "latest", image);
  return (await cache.ensure(`${registry.host}/${name}:latest`, image.digest)).rootfs;
}

describe("a layer in several parts is one layer", () => {
  const halves = (tar: Buffer) => [tar.subarray(0, 30_000), tar.subarray(30_000)];
  const skippable = Buffer.from("502a4d1803000000aabbcc", "hex");
  test.each<[string, (tar: Buffer) => Buffer]>([
    ["zstd frames", (tar) => Buffer.concat(halves(tar).map((half) => zstdCompressSync(half)))],
    [
      "zstd frames with skippable ones around them",
      (tar) => Buffer.concat(halves(tar).flatMap((half) => [skippable, zstdCompressSync(half), skippable])),
    ],
    ["gzip members", (tar) => Buffer.concat(halves(tar).map((half) => gzipSync(half)))],
  ])("of %s", async (name, compression) => {
    const files = Array.from({ length: 50 }, (_, i) => ({ path: `f${i}`, content: `${i}`.repeat(900) }));

    const rootfs = await make(name.replaceAll(" ", "-"), buildImage({ layers: [files], compression }));

    expect(readSquashfs(rootfs).size).toBe(51);
    expect(catSquashfs(rootfs, "f49").toString()).toBe("49".repeat(900));
  });
});

describe("what compresses well is no bomb", () => {
  test("a file of 1.2 GiB of zeros, in a sparse archive", async () => {
    const size = 1.2 * 1024 ** 3;
    const image = buildImage({ layers: [[{ path: "z", sparse: { format: "pax-1.0", size, chunks: [] } }]] });

    expect([...readSquashfs(await make("holes", image)).keys()]).toEqual(["", "z"]);
  });
});

describe("what is long or deep is made as far as Linux goes", () => {
  const chain = Array.from({ length: 41 }, (_, i): TarEntry => {
    return { path: `l${i}`, type: "symlink", link: i === 0 ? "end" : `l${i - 1}` };
  });
  test("40 symlinks on the way to a directory", async () => {
    const image = buildImage({ layers: [[{ path: "end", type: "dir" }, ...chain, { path: "l39/f" }]] });

    expect(readSquashfs(await make("chain", image)).has("end/f")).toBe(true);
  });

  test("as many extended attributes, and names as long, as an entry may have", async () => {
    const xattrs = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`user.${i}`, "x".repeat(180)]));
    const path = `${"p/".repeat(2040)}f`;
    const image = buildImage({ layers: [[{ path, xattrs }]] });

    expect(xattrsOf(await make("attributes", image), path)).toHaveLength(256);
  });

  test("200 layers", async () => {
    const layers = Array.from({ length: 200 }, (_, i) => [
      { path: `f${i}` },
      { path: "last", content: `${i}` },
    ]);

    const rootfs = await make("many-layers", buildImage({ layers }));

    expect(readSquashfs(rootfs).size).toBe(202);
    expect(catSquashfs(rootfs, "last").toString()).toBe("199");
  });

  test.each<[string, TarEntry[], string]>([
    [
      "41 symlinks on the way to a directory",
      [{ path: "end", type: "dir" }, ...chain, { path: "l40/f" }],
      "LAYER_CORRUPT",
    ],
    [
      "a path that symlinks make longer than one can be",
      [
        { path: `${"a/".repeat(1500)}x` },
        { path: "l", type: "symlink", link: "a/".repeat(1500) },
        { path: `l/${"b/".repeat(1000)}x` },
      ],
      "LAYER_TOO_LARGE",
    ],
  ])("and refused otherwise: %s", async (name, entries, reason) => {
    await expect(make(name.replaceAll(" ", "-"), buildImage({ layers: [entries] }))).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason,
      facts: { layer_index: "0" },
    });
  });

  test("a directory of more entries than can be written in time is refused", async () => {
    const entries = Array.from({ length: DEFAULT_LIMITS.maxDirectoryEntries + 1 }, (_, i) => ({
      path: `d/${i}`,
    }));

    await expect(make("wide", buildImage({ layers: [entries] }))).rejects.toMatchObject({
      reason: "LAYER_TOO_LARGE",
      facts: { limit: "100000 entries of a directory" },
    });
  });
});
