import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type BuiltImage,
  buildImage,
  FakeRegistry,
  ImageCacheProcess,
  type Misbehaviour,
} from "../../support/oci/index.ts";
import { temporaryFolder } from "../../support/temporary.ts";
import { catSquashfs, ensure, hash, openEnsure, startImageCache } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());
beforeEach(() => {
  registry.script = () => undefined;
});

/** An image of one layer of so many bytes, which no compression makes smaller. */
function publish(
  name: string,
  size = 200_000,
): { reference: string; image: BuiltImage; layer: string; size: number } {
  const content = Buffer.alloc(size);
  const seed = Number.parseInt(hash(Buffer.from(name)).slice(0, 8), 16);
  for (let i = 0, x = seed; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    content[i] = x >>> 24;
  }
  const image = buildImage({ layers: [[{ path: "content", content }]] });
  registry.add(name, "latest", image);
  const descriptor = image.layers[0];
  return {
    reference: `${registry.host}/${name}`,
    image,
    layer: descriptor?.digest ?? "",
    size: descriptor?.size ?? 0,
  };
}

/** Misbehaves for the first requests for a layer, in turn. */
function misbehave(layer: string, ...startPaths: Misbehaviour[]): void {
  let turn = 0;
  registry.script = (r) => (r.target === layer ? startPaths[turn++] : undefined);
}

describe("a broken connection", () => {
  test("is taken up where it broke: nothing is sent twice", async () => {
    await using cache = await startImageCache();
    const { reference, image, layer, size } = publish("resume");
    misbehave(layer, { dropAfter: 50_000 }, { dropAfter: 60_000 }, { dropAfter: 1 });

    const { ready, rootfs } = await cache.ensure(reference, image.digest);

    const ranges = registry.requests.filter((r) => r.target === layer).map((r) => r.headers["range"]);
    expect(ranges).toEqual([undefined, "bytes=50000-", "bytes=110000-", "bytes=110001-"]);
    expect(registry.bytesServed(layer)).toBe(size);
    expect(ready.downloadedBytes).toBe(BigInt(size));
    expect(catSquashfs(rootfs, "content")).toHaveLength(200_000);
  });

  test("starts over when the registry cannot send a part", async () => {
    await using cache = await startImageCache();
    const { reference, image, layer, size } = publish("whole");
    misbehave(layer, { dropAfter: 50_000 }, { ignoreRange: true });

    await cache.ensure(reference, image.digest);

    expect(registry.bytesServed(layer)).toBe(size + 50_000);
  });

  test("starts over when the part is not the one asked for", async () => {
    await using cache = await startImageCache();
    const { reference, image, layer } = publish("part");
    misbehave(layer, { dropAfter: 50_000 }, { headers: { "content-range": "bytes 7-9/10" } });

    await cache.ensure(reference, image.digest);

    expect(registry.requests.at(-1)?.headers["range"]).toBeUndefined();
  });

  test("starts over once when the pieces do not fit together", async () => {
    await using cache = await startImageCache();
    const { reference, image, layer, size } = publish("pieces");
    misbehave(layer, { replace: Buffer.alloc(size), dropAfter: 50_000 });

    await cache.ensure(reference, image.digest);

    expect(registry.count("blob", layer)).toBe(3);
  });

  test("is given up when it brings nothing any more, and what came is kept for the next time", async () => {
    await using cache = await startImageCache();
    const { reference, image, layer, size } = publish("hopeless");
    misbehave(layer, { dropAfter: 50_000 }, ...Array.from({ length: 20 }, () => ({ dropAfter: 0 })));

    await expect(cache.ensure(reference, image.digest)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      facts: { layer, received_bytes: "50000", expected_bytes: String(size) },
    });
    registry.script = () => undefined;
    await cache.ensure(reference, image.digest);

    expect(registry.bytesServed(layer)).toBe(size);
  });

  test.each([429, 500, 503])("so is an answer of %d, a few times", async (status) => {
    await using cache = await startImageCache();
    const { reference, image, layer } = publish(`status${status}`);
    misbehave(layer, { status, headers: { "retry-after": "0" } }, { status });

    await cache.ensure(reference, image.digest);

    expect(registry.count("blob", layer)).toBe(3);
  });
});

test("no more than three layers are downloaded at a time", async () => {
  await using cache = await startImageCache();
  const layers = Array.from({ length: 8 }, (_, i) => [{ path: `f${i}`, content: String(i) }]);
  const image = buildImage({ layers });
  registry.add("parallel", "latest", image);
  let most = 0;
  const areThree = Promise.withResolvers<void>();
  registry.script = (r) => {
    if (r.kind !== "blob") return undefined;
    most = Math.max(most, registry.answering);
    // The first ones wait for each other; the config comes before them, alone.
    const isLayer = image.layers.some(({ digest }) => digest === r.target);
    if (registry.answering === 3) areThree.resolve();
    return { delayMs: 20, ...(isLayer ? { after: areThree.promise } : {}) };
  };

  await cache.ensure(`${registry.host}/parallel`, image.digest);

  expect(most).toBe(3);
});

test("one layer that fails ends the pull, and the fault is that layer's", async () => {
  await using cache = await startImageCache();
  const image = buildImage({ layers: ["a", "b", "c"].map((path) => [{ path, content: `fails ${path}` }]) });
  registry.add("fails", "latest", image);
  const [stalls, missing] = image.layers.map((l) => l.digest);
  registry.script = (r) => {
    if (r.target === stalls) return { stallAfter: 5 };
    return r.target === missing ? { status: 404, delayMs: 50 } : undefined;
  };

  await expect(cache.ensure(`${registry.host}/fails`, image.digest)).rejects.toMatchObject({
    reason: "IMAGE_NOT_FOUND",
    facts: { layer: missing },
  });
  await expect.poll(() => registry.answering).toBe(0);
});

describe("a process killed at any moment", () => {
  test("takes up the download it was in", async () => {
    const folder = temporaryFolder("kill");
    try {
      const { reference, image, layer, size } = publish("killed", 2_000_000);
      registry.script = (r) =>
        r.target === layer && r.earlier === 0 ? { stallAfter: 1_500_000 } : undefined;
      const first = await ImageCacheProcess.start(folder.path);
      const stream = openEnsure(first.client, reference, image.digest, "m1");
      const ended = stream.next().then(
        () => undefined,
        () => undefined,
      );
      const blobs = join(folder.path, "cache/blobs");
      const sizes = () => readdirSync(blobs).map((name) => statSync(join(blobs, name)).size);
      await expect.poll(sizes).toEqual([1_500_000]);
      await first.stop("SIGKILL");
      await ended;
      await stream.return(undefined);

      await using second = await ImageCacheProcess.start(folder.path);
      const { ready, rootfs } = await ensure(second.client, reference, image.digest, "m1");

      expect(ready.downloadedBytes).toBe(BigInt(size - 1_500_000));
      expect(registry.bytesServed(layer)).toBe(size);
      expect(catSquashfs(rootfs, "content")).toHaveLength(2_000_000);
      expect(readdirSync(join(folder.path, "cache/blobs"))).toEqual([layer.slice(7)]);
    } finally {
      folder.remove();
    }
  });

  test("leaves nothing behind from the image it was writing, and completes it", async () => {
    const folder = temporaryFolder("kill");
    try {
      const entries = Array.from({ length: 40_000 }, (_, i) => ({
        path: `d${i % 100}/f${i}`,
        content: `file ${i}`,
      }));
      const image = buildImage({ layers: [entries] });
      registry.add("writing", "latest", image);
      const reference = `${registry.host}/writing`;
      const first = await ImageCacheProcess.start(folder.path);
      const stream = openEnsure(first.client, reference, image.digest, "m1");
      const ended = stream.next().then(
        () => undefined,
        () => undefined,
      );
      const tmp = join(folder.path, "cache/tmp");
      await expect.poll(() => readdirSync(tmp).length, { interval: 1 }).toBe(1);
      await first.stop("SIGKILL");
      await ended;
      await stream.return(undefined);
      expect(readdirSync(join(folder.path, "cache/rootfs"))).toEqual([]);
      writeFileSync(join(tmp, "left-over"), "x");

      await using second = await ImageCacheProcess.start(folder.path);
      expect(readdirSync(tmp)).toEqual([]);
      const { ready } = await ensure(second.client, reference, image.digest, "m1");

      expect(ready).toMatchObject({
        downloadedBytes: 0n,
        image: { owners: ["m1"], sizes: { entries: 40_101n } },
      });
    } finally {
      folder.remove();
    }
  });
});
