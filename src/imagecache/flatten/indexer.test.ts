import { describe, expect, test } from "vitest";
import { flatten, memoryLayer } from "../../../test/support/imagecache/flatten.ts";
import { type TarEntry, writeTar } from "../../../test/support/oci/index.ts";
import { Indexer } from "./indexer.ts";
import type { Layer } from "./layer.ts";
import { DEFAULT_LIMITS } from "./limits.ts";

const many = (count: number): TarEntry[] => Array.from({ length: count }, (_, i) => ({ path: `f${i}` }));

describe("limits", () => {
  test.each([
    [
      "bytes, holes included",
      { maxBytes: 10_000 },
      [{ path: "s", sparse: { format: "pax-0.1", size: 9_000, chunks: [] } }, ...many(5)],
    ],
    ["entries", { maxEntries: 10 }, many(11)],
    ["directories that a single entry implies", { maxEntries: 10 }, [{ path: "d/".repeat(20) }]],
    ["bytes of names", { maxNameBytes: 1000 }, many(500)],
    ["entries in a directory", { maxDirectoryEntries: 10 }, many(11)],
    ["bytes of paths", { maxPathBytes: 1000 }, [{ path: "d/".repeat(50) }]],
    [
      "bytes of extended attributes",
      { maxAttributeBytes: 1000 },
      many(20).map((entry) => ({ ...entry, xattrs: { "user.a": "x".repeat(50) } })),
    ],
    [
      "bytes of attributes of a symlink with many names",
      { maxAttributeBytes: 1000 },
      [
        { path: "s", type: "symlink", link: "x".repeat(90) },
        ...many(20).map(({ path }) => ({ path, type: "hardlink" as const, link: "s" })),
      ],
    ],
    [
      "bytes of extended headers",
      { maxHeaderBytes: 1000 },
      many(20).map((entry) => ({ ...entry, pax: { comment: "x".repeat(50) } })),
    ],
  ] as [string, object, TarEntry[]][])("stop a layer with too many %s", async (_, limits, entries) => {
    const flattening = flatten([entries], { ...DEFAULT_LIMITS, ...limits });

    await expect(flattening).rejects.toMatchObject({
      reason: "LAYER_TOO_LARGE",
      facts: { limit: expect.any(String) },
    });
  });

  test("count all layers together", async () => {
    const layers = [many(6), many(6)];

    await expect(flatten(layers, { ...DEFAULT_LIMITS, maxEntries: 11 })).rejects.toMatchObject({
      reason: "LAYER_TOO_LARGE",
    });
    await flatten(layers, { ...DEFAULT_LIMITS, maxEntries: 12 });
  });
});

describe("reading several layers", () => {
  test("applies them in order, whichever is ready first", { timeout: 30_000 }, async () => {
    let release = () => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const lower: Layer = {
      ...memoryLayer(writeTar([{ path: "a" }, { path: "gone" }])),
      async *read() {
        await slow;
        yield writeTar([{ path: "a" }, { path: "gone" }]);
      },
    };
    const upperTar = writeTar([{ path: ".wh.gone" }, ...many(30_000)]);
    let bytes = 0;
    const indexer = new Indexer(
      [lower, memoryLayer(upperTar, upperTar.length, 65_536)],
      DEFAULT_LIMITS,
      (n) => {
        bytes += n;
        // The upper one has run as far ahead as it may.
        if (bytes > 20_000 * 512) release();
      },
    );

    const plan = await indexer.read();

    expect(plan.entries).toBe(1 + 1 + 30_000);
  });

  test("reads two at a time and no more, and each to its end", async () => {
    let open = 0;
    let most = 0;
    const layers = Array.from({ length: 6 }, (_, i): Layer => {
      const layer = memoryLayer(writeTar([{ path: `f${i}` }]), 1, 512);
      return {
        ...layer,
        async *read(verify) {
          most = Math.max(most, ++open);
          yield* layer.read(verify);
          open--;
        },
      };
    });

    expect((await new Indexer(layers, DEFAULT_LIMITS).read()).entries).toBe(7);

    expect(most).toBe(2);
    expect(open).toBe(0);
  });

  test("stops the others when one fails, and says which", async () => {
    const bad: Layer = {
      ...memoryLayer(Buffer.alloc(1024, 1)),
      about: (err) => new Error("the second layer", { cause: err }),
    };
    let closed = 0;
    const endless: Layer = {
      ...memoryLayer(Buffer.alloc(0)),
      async *read() {
        try {
          for (;;) {
            yield writeTar([{ path: "a" }], false);
            await new Promise((resolve) => setImmediate(resolve));
          }
        } finally {
          closed++;
        }
      },
    };

    await expect(new Indexer([endless, bad, endless], DEFAULT_LIMITS).read()).rejects.toThrow(
      "the second layer",
    );

    expect(closed).toBe(1);
  });
});
