import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Digest } from "../../../src/lib/oci/digest.ts";
import { buildImage, buildIndex, FakeRegistry } from "../../support/oci/index.ts";
import { image, login, RegistryWorld, retry, signal, sourceOf } from "./registry-fixture.ts";

let world: RegistryWorld;
let registry: FakeRegistry;
beforeEach(async () => {
  world = await RegistryWorld.open();
  registry = world.registry;
});
afterEach(() => world.close());

describe("resolving", () => {
  test.each(["oci", "docker"] as const)(
    "picks linux/amd64 from an index with %s media types",
    async (mediaTypes) => {
      const mine = buildImage({ layers: [[{ path: mediaTypes }]], mediaTypes });
      const arm = buildImage({ layers: [], platform: { os: "linux", architecture: "arm64" }, mediaTypes });
      const v3 = buildImage({ layers: [[{ path: "v3" }]], mediaTypes });
      const index = buildIndex(
        [
          { image: arm, os: "linux", architecture: "arm64", variant: "v8" },
          { image: v3, os: "linux", architecture: "amd64", variant: "v3" },
          { image: mine, os: "linux", architecture: "amd64" },
        ],
        mediaTypes,
      );
      registry.add("index", "latest", index);

      const found = await world.resolve({}, "index");

      expect(found).toMatchObject({ digest: mine.digest, indexDigest: index.digest });
      expect(found.manifest.layers.map((l) => l.digest)).toEqual(mine.layers.map((l) => l.digest));
    },
  );

  test("follows an index within an index", async () => {
    const inner = buildIndex([{ image, os: "linux", architecture: "amd64" }]);
    const outer = buildIndex([{ image: inner, os: "linux", architecture: "amd64" }]);
    registry.add("nested", "latest", outer);

    expect(await world.resolve({}, "nested")).toMatchObject({
      digest: image.digest,
      indexDigest: outer.digest,
    });
  });

  test("reads a manifest that does not say what it is", async () => {
    const silent = buildImage({ layers: [[{ path: "a" }]], omitMediaType: true });
    registry.add("silent", "latest", silent);
    registry.script = (r) =>
      r.kind === "manifest" ? { headers: { "content-type": "application/octet-stream" } } : undefined;

    expect((await world.resolve({}, "silent")).digest).toBe(silent.digest);
  });

  test("takes the digest in a reference for what the image must be, and never a header", async () => {
    registry.script = (r) =>
      r.kind === "manifest"
        ? { headers: { "docker-content-digest": `sha256:${"0".repeat(64)}` } }
        : undefined;

    expect((await world.resolve()).digest).toBe(image.digest);
    expect((await world.resolve({}, `x:other@${image.digest}`)).digest).toBe(image.digest);
  });

  test("reads a configuration once for each who asks and each repository, and manifests every time", async () => {
    const client = world.client();
    registry.add("y", "latest", image);
    const read = async (name: string, org: string) => {
      const before = registry.requests.length;
      const from = sourceOf(`${registry.host}/${name}`, undefined, org);
      expect((await client.resolve(from, signal)).config.run.cmd).toEqual(["/a"]);
      return registry.requests.slice(before).map(({ kind }) => kind);
    };

    expect(await read("x", "acme")).toEqual(["manifest", "blob"]);
    expect(await read("x", "acme")).toEqual(["manifest"]);
    expect(await read("x", "other")).toEqual(["manifest", "blob"]);
    expect(await read("y", "acme")).toEqual(["manifest", "blob"]);
  });

  test("notices a configuration that was changed", async () => {
    registry.script = (r) => (r.kind === "blob" ? { replace: Buffer.from("{}") } : undefined);

    await expect(world.resolve()).rejects.toMatchObject({
      code: "DATA_LOSS",
      reason: "IMAGE_DIGEST_MISMATCH",
    });
  });
});

describe("a redirect", () => {
  test("is followed, and takes no credentials to another host", async () => {
    await using storage = await FakeRegistry.start();
    storage.add("x", "latest", image);
    registry.auth = { kind: "basic", user: login.username, password: login.password };
    registry.script = (r) =>
      r.headers["authorization"] && r.kind === "blob" ? { redirect: `${storage.url}{path}` } : undefined;

    expect((await world.resolve({}, "x", login)).digest).toBe(image.digest);

    expect(storage.requests).toHaveLength(1);
    expect(storage.requests[0]?.headers["authorization"]).toBeUndefined();
  });

  test("keeps its credentials on the same host", async () => {
    registry.auth = { kind: "basic", user: login.username, password: login.password };
    registry.add("moved", "latest", image);
    registry.script = (r) =>
      r.url === "/v2/x/manifests/latest" ? { redirect: "/v2/moved/manifests/latest" } : undefined;

    expect((await world.resolve({}, "x", login)).digest).toBe(image.digest);
  });

  test("that never ends is given up", async () => {
    registry.script = (r) => ({ redirect: r.url });

    await expect(world.resolve()).rejects.toMatchObject({ reason: "REGISTRY_UNAVAILABLE" });
  });
});

describe("a registry in trouble", () => {
  test("is asked again, after as long as it says, and a few times only", async () => {
    registry.script = (r) =>
      r.kind === "manifest" && r.earlier < 2 ? { status: 429, headers: { "retry-after": "0" } } : undefined;
    expect((await world.resolve()).digest).toBe(image.digest);
    expect(registry.count("manifest")).toBe(3);

    registry.script = () => ({ status: 503 });
    await expect(world.resolve()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "REGISTRY_UNAVAILABLE",
      facts: { registry: registry.host, attempts: "3" },
    });
    expect(registry.count("manifest")).toBe(6);
  });

  test("that breaks off within a manifest is asked again", async () => {
    registry.script = (r) => (r.kind === "manifest" && r.earlier === 0 ? { dropAfter: 10 } : undefined);

    expect((await world.resolve()).digest).toBe(image.digest);
  });

  test.each([
    ["sends nothing", {}],
    ["stops in the middle", { stallAfter: 10 }],
  ])("that %s is not waited for for ever", async (_, how) => {
    registry.script = () => ("stallAfter" in how ? how : { delayMs: 5_000 });

    const answer = world.resolve({
      timeouts: { connectMs: 1_000, idleMs: 30 },
      retry: { ...retry, attempts: 2 },
    });

    await expect(answer).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_UNAVAILABLE" });
  });

  test("is no registry at all", async () => {
    registry.script = () => ({ status: 418, body: "teapot" });

    await expect(world.resolve()).rejects.toMatchObject({
      reason: "REGISTRY_UNAVAILABLE",
      facts: { status: "418" },
    });
  });

  test("that sends a whole layer for a piece of it takes memory for the piece only", async () => {
    const size = 200 * 1024 * 1024;
    const digest: Digest = `sha256:${"ab".repeat(32)}`;
    const blob = { mediaType: "", digest, size };
    const body = Buffer.alloc(size);
    registry.script = () => ({ status: 200, body });
    const from = sourceOf(`${registry.host}/x`);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const onBytes = () => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    };

    const piece = { offset: size - 4096, length: 4096 };
    const bytes = await world.client().readRange(from, blob, piece, { reference: "x" }, signal, onBytes);

    expect(bytes).toHaveLength(4096);
    expect(most).toBeLessThan(size / 2);
  });

  test("is let go as soon as nobody waits", async () => {
    registry.script = () => ({ stallAfter: 1 });
    const abort = new AbortController();
    const answer = world.client().resolve(sourceOf(`${registry.host}/x`), abort.signal);
    const outcome = expect(answer).rejects.toThrow("enough");
    await expect.poll(() => registry.answering).toBe(1);

    abort.abort(new Error("enough"));

    await outcome;
    await expect.poll(() => registry.answering).toBe(0);
  });
});
