import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { passwordCredentials } from "../../../src/lib/oci/auth/credentials.ts";
import { type BuiltImage, buildImage, FakeRegistry, type Manifest } from "../../support/oci/index.ts";
import { catSquashfs, startImageCache, type TestImageCache } from "./fixture.ts";

/** What no compression makes smaller, so that every piece of a layer differs. */
const noise = (seed: number) =>
  Buffer.from(Uint32Array.from({ length: 30_000 }, (_, i) => Math.imul(i + seed, 2654435761)).buffer);

let mine: FakeRegistry;
let theirs: FakeRegistry;
let secret: BuiltImage;
beforeEach(async () => {
  [mine, theirs] = await Promise.all([FakeRegistry.start(), FakeRegistry.start()]);
  secret = buildImage({ layers: [[{ path: "secret", content: noise(1) }]] });
  mine.add("secret", "latest", secret);
});
afterEach(async () => {
  await Promise.all([mine[Symbol.asyncDispose](), theirs[Symbol.asyncDispose]()]);
});

const layerOf = (image: BuiltImage) => image.layers[0]?.digest ?? "";
const hexOf = (digest: string) => digest.slice("sha256:".length);
const blobs = (dir: string) => readdirSync(join(dir, "blobs"));

describe("what one organisation has pulled is given to another", () => {
  test("not from a repository that has everything but a layer", async () => {
    await using cache = await startImageCache();
    await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });
    theirs.add("copy", "latest", secret);
    theirs.script = ({ target }) => (target === layerOf(secret) ? { status: 404 } : undefined);

    const stolen = cache.ensure(`${theirs.host}/copy`, secret.digest, "m2", { org: "theirs" });

    await expect(stolen).rejects.toMatchObject({ reason: "IMAGE_NOT_FOUND" });
  });

  test.each([
    ["the layer", "is ready"],
    ["the layer", "is not built yet"],
  ])("not from a registry that pretends to have %s, when the image %s", async (_, state) => {
    await using cache = await startImageCache();
    const both = buildImage({ layers: [[{ path: "secret", content: noise(1) }], [{ path: "b" }]] });
    const image = state === "is ready" ? secret : both;
    await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });
    theirs.add("copy", "latest", image);
    theirs.script = ({ target }) =>
      target === layerOf(secret) ? { replace: Buffer.alloc(secret.layers[0]?.size ?? 0, 7) } : undefined;

    const stolen = cache.ensure(`${theirs.host}/copy`, image.digest, "m2", { org: "theirs" });

    await expect(stolen).rejects.toMatchObject({ code: "DATA_LOSS", reason: "IMAGE_DIGEST_MISMATCH" });
    expect(theirs.count("blob", layerOf(secret))).toBe(1);
  });

  test("and stays there when the other's manifest has a wrong size for it", async () => {
    await using cache = await startImageCache();
    await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });
    const tamper = ({ layers }: Manifest) => {
      for (const layer of layers) layer.size--;
    };
    const wrong = buildImage({ layers: [[{ path: "secret", content: noise(1) }]], tamper });
    theirs.add("copy", "latest", wrong);

    const pulled = cache.ensure(`${theirs.host}/copy`, wrong.digest, "m2", { org: "theirs" });

    await expect(pulled).rejects.toMatchObject({ code: "DATA_LOSS", reason: "IMAGE_DIGEST_MISMATCH" });
    expect(blobs(cache.dir)).toContain(hexOf(layerOf(secret)));
  });

  test("not what is wrong with an image that its own repository does not have", async () => {
    await using cache = await startImageCache();
    const bad = buildImage({ layers: [[{ path: "../secret" }]] });
    mine.add("bad", "latest", bad);
    theirs.add("bad", "latest", bad);
    theirs.script = ({ target }) => (target === layerOf(bad) ? { status: 404 } : undefined);
    const ensure = (from: FakeRegistry, org: string) =>
      cache.ensure(`${from.host}/bad`, bad.digest, "m1", { org });

    await expect(ensure(mine, "mine")).rejects.toMatchObject({ reason: "LAYER_PATH_ESCAPES" });
    await expect(ensure(theirs, "theirs")).rejects.toMatchObject({ reason: "IMAGE_NOT_FOUND" });
    theirs.script = () => undefined;
    await expect(ensure(theirs, "theirs")).rejects.toMatchObject({ reason: "LAYER_PATH_ESCAPES" });
  });

  test("not from a repository that it may not read", async () => {
    await using cache = await startImageCache();
    mine.auth = { kind: "basic", user: "kestrel", password: "p" };
    const credentials = passwordCredentials("kestrel", "p");
    await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine", credentials });

    for (const who of [{ org: "theirs" }, { org: "mine" }]) {
      const stolen = cache.ensure(`${mine.host}/secret`, secret.digest, "m2", who);
      await expect(stolen).rejects.toMatchObject({ reason: "REGISTRY_UNAUTHORIZED" });
    }
  });

  test("once its own repository has proven that it has all of it, and then without asking again", async () => {
    await using cache = await startImageCache();
    await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });
    theirs.add("copy", "latest", secret);

    const first = await cache.ensure(`${theirs.host}/copy`, secret.digest, "m2", { org: "theirs" });
    const asked = theirs.requests.length;
    const second = await cache.ensure(`${theirs.host}/copy`, secret.digest, "m3", { org: "theirs" });

    expect(first.ready).toMatchObject({ wasCached: true, downloadedBytes: 0n });
    expect(theirs.bytesServed(layerOf(secret))).toBeLessThanOrEqual(4096);
    expect(theirs.requests).toHaveLength(asked);
    expect(second.ready.image?.owners).toEqual(["m1", "m2", "m3"]);
  });

  test.each([undefined, { ignoreRange: true }])(
    "also when the layers have been evicted, and the registry sends %j",
    async (how) => {
      await using cache = await startImageCache();
      await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });
      for (const name of blobs(cache.dir)) rmSync(join(cache.dir, "blobs", name));
      theirs.add("copy", "latest", secret);
      theirs.script = ({ target }) => (target === layerOf(secret) ? how : undefined);

      const { ready } = await cache.ensure(`${theirs.host}/copy`, secret.digest, "m2", { org: "theirs" });

      expect(ready.downloadedBytes).toBe(0n);
      expect(blobs(cache.dir)).toEqual([]);
    },
  );
});

describe("a pull of another organisation", () => {
  /** Begins pulls, whose ends nobody waits for. */
  function begin(cache: TestImageCache, images: readonly BuiltImage[]): void {
    for (const [i, image] of images.entries()) {
      theirs.add(`slow/${i}`, "latest", image);
      const who = { org: "theirs" };
      cache.ensure(`${theirs.host}/slow/${i}`, image.digest, "", who).catch(() => undefined);
    }
    const slow = new Set(images.flatMap(({ layers }) => layers.map(({ digest }) => digest)));
    theirs.script = ({ target }) => (slow.has(target) ? { stallAfter: 50 } : undefined);
  }

  test("is not waited for when it is slow, and its half of a layer is not taken", async () => {
    await using cache = await startImageCache();
    begin(cache, [secret]);
    await expect.poll(() => theirs.bytesServed(layerOf(secret))).toBe(50);

    const { ready, rootfs } = await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });

    expect(ready.downloadedBytes).toBe(BigInt(secret.layers[0]?.size ?? 0));
    expect(catSquashfs(rootfs, "secret").equals(noise(1))).toBe(true);
  });

  test("takes some of the places only, however much it pulls", async () => {
    await using cache = await startImageCache();
    const names = Array.from({ length: 20 }, (_, i) => `${i}`);
    begin(
      cache,
      names.map((path) => buildImage({ layers: [[{ path, content: path }], [{ path: `${path}b` }]] })),
    );
    await expect.poll(() => theirs.answering).toBe(3);

    const { ready } = await cache.ensure(`${mine.host}/secret`, secret.digest, "m1", { org: "mine" });

    expect(ready.wasCached).toBe(false);
    expect(theirs.answering).toBe(3);
  });

  test("is given up when it is too slow, and says so", async () => {
    // Long enough for the first bytes: without any, the registry is called unreachable.
    const downloads = { places: 2, minBytesPerSecond: 1_000_000, windowMs: 1_000 };
    await using cache = await startImageCache({ downloads });
    mine.script = ({ target }) => (target === layerOf(secret) ? { stallAfter: 100 } : undefined);

    await expect(cache.ensure(`${mine.host}/secret`, secret.digest)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_TOO_SLOW",
      facts: { registry: mine.host, window_s: "1", min_bytes_per_second: "1000000" },
    });
    await expect.poll(() => mine.answering).toBe(0);
  });
});
