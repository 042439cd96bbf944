import { readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mintToken } from "../../src/lib/auth.ts";
import { call } from "../../src/lib/client.ts";
import { type BuiltImage, buildImage, buildIndex, FakeRegistry } from "../support/oci/index.ts";
import { catSquashfs, KEYS, openEnsure, startImageCache, type TestImageCache } from "./imagecache-fixture.ts";

const TIMEOUT = { timeoutMs: 10_000 };
const MISSING = `sha256:${"0".repeat(64)}`;

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());

/** An image nobody else has, in a repository of its own. */
function publish(name: string, content: string | Buffer = name): { reference: string; image: BuiltImage } {
  const image = buildImage({
    layers: [[{ path: "content", content }]],
    config: {
      Entrypoint: ["/bin/server"],
      Cmd: ["--port", "80"],
      Env: ["PATH=/bin", "A=b=c"],
      User: "www:data",
      WorkingDir: "/srv",
      ExposedPorts: { "443/tcp": {}, "80/tcp": {}, "53/udp": {} },
      StopSignal: "SIGQUIT",
      Labels: { maintainer: "nobody" },
    },
  });
  registry.add(name, "latest", image);
  return { reference: `${registry.host}/${name}:latest`, image };
}

describe("EnsureImage", () => {
  test("makes an image local, says how far it is, and describes it", async () => {
    await using cache = await startImageCache();
    const { reference, image } = publish("ensure");

    const { progress, ready, rootfs } = await cache.ensure(reference, image.digest, "m1");

    expect(ready).toMatchObject({ wasCached: false, downloadedBytes: BigInt(image.layers[0]?.size ?? 0) });
    expect(ready.image).toMatchObject({ digest: image.digest, owners: ["m1"] });
    expect(ready.image?.config).toEqual({
      entrypoint: ["/bin/server"],
      cmd: ["--port", "80"],
      env: ["PATH=/bin", "A=b=c"],
      user: "www:data",
      workingDir: "/srv",
      exposedPorts: ["53/udp", "80/tcp", "443/tcp"],
      stopSignal: "SIGQUIT",
      labels: { maintainer: "nobody" },
    });
    expect(ready.image?.sizes).toMatchObject({
      layers: 1,
      entries: 2n,
      rootfsBytes: BigInt(statSync(rootfs).size),
    });
    expect(statSync(rootfs).mode & 0o777).toBe(0o644);
    expect(catSquashfs(rootfs, "content").toString()).toBe("ensure");
    // The latest counts, so phases may be passed over; never is one out of order.
    const phases = progress.map((p) => p.phase);
    expect(phases).toEqual(phases.toSorted());
    expect(phases.length).toBeGreaterThan(0);
  });

  test("answers at once and without the registry when the image is here", async () => {
    await using cache = await startImageCache();
    const { reference, image } = publish("cached");
    const first = await cache.ensure(reference, image.digest);
    const before = registry.requests.length;

    const second = await cache.ensure(reference, image.digest, "m2");

    expect(second.progress).toEqual([]);
    expect(second.ready).toMatchObject({ wasCached: true, downloadedBytes: 0n });
    expect(second.ready.image?.owners).toEqual(["m2"]);
    expect(second.rootfs).toBe(first.rootfs);
    expect(registry.requests.length).toBe(before);
  });

  test("gives the same bytes for the same image, whoever makes it", async () => {
    await using one = await startImageCache();
    await using other = await startImageCache();
    const entries = Array.from({ length: 300 }, (_, i) => ({
      path: `d${i % 7}/f${i}`,
      content: "x".repeat(i * 37),
      uid: i,
    }));
    const image = buildImage({
      layers: [entries.slice(0, 200), [...entries.slice(150), { path: "d1/.wh.f8" }]],
    });
    registry.add("same", "latest", image);

    const first = await one.ensure(`${registry.host}/same`, image.digest);
    const second = await other.ensure(`${registry.host}/same`, image.digest);

    const bytes = (path: string) => import("node:fs").then((fs) => fs.readFileSync(path));
    expect((await bytes(first.rootfs)).equals(await bytes(second.rootfs))).toBe(true);
  });

  test("downloads a layer that images share once", async () => {
    await using cache = await startImageCache();
    const base = [{ path: "base", content: Buffer.alloc(100_000, 7) }];
    const images = ["a", "b"].map((name) => buildImage({ layers: [base, [{ path: name }]] }));
    for (const [i, image] of images.entries()) registry.add(`shared${i}`, "latest", image);
    const shared = images[0]?.layers[0]?.digest ?? "";

    await Promise.all(images.map((image, i) => cache.ensure(`${registry.host}/shared${i}`, image.digest)));

    expect(registry.count("blob", shared)).toBe(1);
  });

  test("pulls once however many ask at the same time, and tells all of them", async () => {
    await using cache = await startImageCache();
    const { reference, image } = publish("flight");

    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        cache.ensure(reference, image.digest, `m${String(i).padStart(2, "0")}`),
      ),
    );

    expect(registry.count("manifest", image.digest)).toBe(1);
    expect(registry.count("blob", image.layers[0]?.digest)).toBe(1);
    expect(new Set(all.map((a) => a.rootfs)).size).toBe(1);
    const { image: found } = await call(
      cache.client,
      cache.client.getImage,
      { digest: image.digest },
      TIMEOUT,
    );
    expect(found?.owners).toHaveLength(20);
  });

  test("goes on for those who still wait when one leaves, and stops when the last one does", async () => {
    await using cache = await startImageCache();
    const { reference, image } = publish(
      "leaving",
      Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7919) % 251)),
    );
    const layer = image.layers[0]?.digest ?? "";
    registry.script = (r) => (r.target === layer ? { stallAfter: 10 } : undefined);
    const leave = async () => {
      const stream = openEnsure(cache.client, reference, image.digest);
      for (let bytes = 0n; bytes === 0n; ) {
        const { event } = (await stream.next()).value ?? {};
        if (event?.$case === "progress") bytes = event.value.bytesDone;
      }
      return stream;
    };
    const first = await leave();
    const second = await leave();

    await first.return(undefined);
    expect(registry.count("blob", layer)).toBe(1);
    expect(registry.answering).toBe(1);
    await second.return(undefined);
    await expect.poll(() => registry.answering).toBe(0);
    registry.script = () => undefined;
    const third = await cache.ensure(reference, image.digest);

    // Broken off and taken up again: one request for the rest of it.
    expect(registry.count("blob", layer)).toBe(2);
    expect(registry.requests.findLast((r) => r.target === layer)?.headers["range"]).toBe("bytes=10-");
    expect(third.ready.wasCached).toBe(false);
  });

  test("takes the linux/amd64 image when given the digest of an index", async () => {
    await using cache = await startImageCache();
    const { image } = publish("amd");
    const arm = buildImage({ layers: [], platform: { os: "linux", architecture: "arm64" } });
    const index = buildIndex([
      { image: arm, os: "linux", architecture: "arm64" },
      { image, os: "linux", architecture: "amd64" },
    ]);
    registry.add("index", "latest", index);

    const { ready, rootfs } = await cache.ensure(`${registry.host}/index`, index.digest);

    expect(ready.image?.digest).toBe(index.digest);
    expect(catSquashfs(rootfs, "content").toString()).toBe("amd");
  });

  test("makes an image without layers", async () => {
    await using cache = await startImageCache();
    const image = buildImage({ layers: [] });
    registry.add("scratch", "latest", image);

    const { ready } = await cache.ensure(`${registry.host}/scratch`, image.digest);

    expect(ready.image?.sizes).toMatchObject({ layers: 0, entries: 1n });
  });
});

describe("requests that are wrong", () => {
  let cache: TestImageCache;
  beforeAll(async () => {
    cache = await startImageCache();
  });
  afterAll(() => cache[Symbol.asyncDispose]());

  test("all wrong fields are named at once", async () => {
    const pull = cache.ensure("", "sha256:12", "-nobody/../x");

    await expect(pull).rejects.toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_FIELDS" });
    const fields = await pull.catch((err) => err.violations.map((v: { field: string }) => v.field));
    expect(fields).toEqual(["reference", "digest", "owner"]);
  });

  test("a reference that cannot be parsed says what is wrong with it", async () => {
    const pull = cache.ensure("https://Docker.io/Nginx", MISSING);

    await expect(pull).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "IMAGE_REFERENCE_INVALID",
      facts: { reference: "https://Docker.io/Nginx" },
      violations: [{ field: "reference" }],
    });
  });

  test("pins name every pin that is wrong", async () => {
    const pins = [
      { digest: MISSING, owner: "m1" },
      { digest: "x", owner: "" },
    ];
    const answer = call(cache.client, cache.client.reconcilePins, { pins }, TIMEOUT);

    await expect(answer).rejects.toMatchObject({
      violations: [{ field: "pins[1].digest" }, { field: "pins[1].owner" }],
    });
  });

  test("a page token must come from an earlier answer", async () => {
    const answer = call(cache.client, cache.client.listImages, { pageSize: 0, pageToken: "?" }, TIMEOUT);

    await expect(answer).rejects.toMatchObject({ reason: "PAGE_TOKEN_INVALID" });
  });

  test.each([
    ["no token", undefined, "UNAUTHENTICATED", "TOKEN_MISSING"],
    ["a token of a user", ["machines:write"] as const, "PERMISSION_DENIED", "SCOPE_MISSING"],
  ])("%s is not enough, for any call", async (_, scopes, code, reason) => {
    const claims = { subject: "user", org: "o", scopes: scopes ?? [] };
    const stranger = cache.connect(scopes && (() => mintToken(KEYS.privateKey, claims, 60)));
    const digest = MISSING;
    const pin = { digest, owner: "m" };

    const answers = [
      openEnsure(stranger, "x", digest).next(),
      call(stranger, stranger.getImage, { digest }, TIMEOUT),
      call(stranger, stranger.listImages, { pageSize: 0, pageToken: "" }, TIMEOUT),
      call(stranger, stranger.pinImage, pin, TIMEOUT),
      call(stranger, stranger.unpinImage, pin, TIMEOUT),
      call(stranger, stranger.reconcilePins, { pins: [] }, TIMEOUT),
      call(stranger, stranger.removeImage, { digest }, TIMEOUT),
    ];

    for (const answer of await Promise.allSettled(answers)) {
      expect(answer).toMatchObject({ status: "rejected", reason: { code, reason } });
    }
  });
});

describe("the images that are here", () => {
  test("are found, listed page by page, and removed", async () => {
    await using cache = await startImageCache();
    const { client } = cache;
    const digests: string[] = [];
    for (const name of ["l1", "l2", "l3"]) {
      const { reference, image } = publish(name);
      digests.push((await cache.ensure(reference, image.digest)).ready.image?.digest ?? "");
    }
    digests.sort();

    const first = await call(client, client.listImages, { pageSize: 2, pageToken: "" }, TIMEOUT);
    const rest = await call(
      client,
      client.listImages,
      { pageSize: 2, pageToken: first.nextPageToken },
      TIMEOUT,
    );

    expect([...first.images, ...rest.images].map((i) => i.digest)).toEqual(digests);
    expect(first.images).toHaveLength(2);
    expect(rest.nextPageToken).toBe("");
    expect(first.usedBytes).toBeGreaterThan(0n);
    expect(first.budgetBytes).toBe(1_000_000_000n);

    const digest = digests[0] ?? "";
    const { freedBytes } = await call(client, client.removeImage, { digest }, TIMEOUT);
    expect(freedBytes).toBeGreaterThan(0n);
    await expect(call(client, client.getImage, { digest }, TIMEOUT)).rejects.toMatchObject({
      code: "NOT_FOUND",
      reason: "IMAGE_NOT_CACHED",
      facts: { digest },
    });
    expect(readdirSync(join(cache.dir, "rootfs"))).toHaveLength(4);
  });

  test("cannot be removed while pinned, and can after", async () => {
    await using cache = await startImageCache();
    const { client } = cache;
    const { reference, image } = publish("pinned");
    const { digest } = image;
    await cache.ensure(reference, digest, "m1");
    await call(client, client.pinImage, { digest, owner: "m2" }, TIMEOUT);

    const refused = call(client, client.removeImage, { digest }, TIMEOUT);
    await expect(refused).rejects.toMatchObject({ reason: "IMAGE_PINNED", facts: { owners: "m1,m2" } });

    for (const owner of ["m1", "m2", "m2"]) await call(client, client.unpinImage, { digest, owner }, TIMEOUT);
    await call(client, client.removeImage, { digest }, TIMEOUT);
    const pin = call(client, client.pinImage, { digest, owner: "m1" }, TIMEOUT);
    await expect(pin).rejects.toMatchObject({ reason: "IMAGE_NOT_CACHED" });
  });

  test("keep their pins over a restart, until the set is reconciled", async () => {
    await using old = await startImageCache();
    const { reference, image } = publish("restart");
    const { digest } = image;
    await old.ensure(reference, digest, "m1");
    await call(old.client, old.client.pinImage, { digest, owner: "m2" }, TIMEOUT);
    await old.stop();
    await using cache = await startImageCache({ dir: old.dir });
    const { client } = cache;

    const kept = await call(client, client.getImage, { digest }, TIMEOUT);
    expect(kept.image?.owners).toEqual(["m1", "m2"]);
    const pins = [
      { digest, owner: "m2" },
      { digest, owner: "m3" },
      { digest: MISSING, owner: "m4" },
    ];
    const changed = await call(client, client.reconcilePins, { pins }, TIMEOUT);
    expect(changed).toEqual({ added: 2, dropped: 1, missingDigests: [MISSING] });
    const again = await call(client, client.reconcilePins, { pins }, TIMEOUT);
    expect(again).toEqual({ added: 0, dropped: 0, missingDigests: [MISSING] });
    const after = await call(client, client.getImage, { digest }, TIMEOUT);
    expect(after.image?.owners).toEqual(["m2", "m3"]);
  });
});

describe("a directory", () => {
  test("serves one process at a time", async () => {
    await using cache = await startImageCache();
    // As another process that lives would have left it: this one's own lock does not count.
    const other = `1 ${readStart(1)}`;
    writeFileSync(join(cache.dir, "lock"), other);

    await expect(startImageCache({ dir: cache.dir })).rejects.toMatchObject({
      reason: "DIRECTORY_IN_USE",
      facts: { pid: "1" },
    });
  });

  test("forgets images whose file is cut short, and makes them anew", async () => {
    await using old = await startImageCache();
    const { reference, image } = publish("damaged");
    const { rootfs } = await old.ensure(reference, image.digest);
    await old.stop();
    truncateSync(rootfs, 100);
    await using cache = await startImageCache({ dir: old.dir });

    const answer = call(cache.client, cache.client.getImage, { digest: image.digest }, TIMEOUT);
    await expect(answer).rejects.toMatchObject({ reason: "IMAGE_NOT_CACHED" });
    const { ready } = await cache.ensure(reference, image.digest);
    expect(ready).toMatchObject({ wasCached: false, downloadedBytes: 0n });
    expect(catSquashfs(rootfs, "content").toString()).toBe("damaged");
  });

  test("finds an image of the right length and the wrong bytes soon after the start", async () => {
    await using old = await startImageCache();
    const { reference, image } = publish("rotten");
    const { rootfs } = await old.ensure(reference, image.digest, "m1");
    await old.stop();
    writeFileSync(rootfs, Buffer.alloc(statSync(rootfs).size, 1));
    await using cache = await startImageCache({ dir: old.dir });
    const { client } = cache;

    await expect
      .poll(() => call(client, client.getImage, { digest: image.digest }, TIMEOUT).catch((err) => err.reason))
      .toBe("IMAGE_NOT_CACHED");
    const { ready } = await cache.ensure(reference, image.digest);
    expect(ready.image?.owners).toEqual(["m1"]);
    expect(catSquashfs(rootfs, "content").toString()).toBe("rotten");
  });

  test("accepts images that were padded, as attaching them to machines does", async () => {
    await using old = await startImageCache();
    const { reference, image } = publish("padded");
    const { rootfs } = await old.ensure(reference, image.digest);
    await old.stop();
    truncateSync(rootfs, 1e9);
    await using cache = await startImageCache({ dir: old.dir });

    expect((await cache.ensure(reference, image.digest)).ready.wasCached).toBe(true);
  });

  test("fetches a cached layer again when its bytes have changed", async () => {
    await using cache = await startImageCache();
    const base = [{ path: "base", content: Buffer.alloc(50_000, 3) }];
    const [first, second] = ["x", "y"].map((name) => buildImage({ layers: [base, [{ path: name }]] }));
    if (!first || !second) throw new Error("unreachable");
    registry.add("rot1", "latest", first);
    registry.add("rot2", "latest", second);
    await cache.ensure(`${registry.host}/rot1`, first.digest);
    const layer = first.layers[0]?.digest ?? "";
    const blob = join(cache.dir, "blobs", layer.slice(7));
    writeFileSync(blob, Buffer.alloc(statSync(blob).size));

    const { rootfs } = await cache.ensure(`${registry.host}/rot2`, second.digest);

    expect(registry.count("blob", layer)).toBe(2);
    expect(catSquashfs(rootfs, "base")).toHaveLength(50_000);
  });
});

describe("eviction", () => {
  /** Random bytes: neither gzip nor lz4 makes them smaller. */
  const bulk = (seed: number) => {
    const bytes = Buffer.alloc(1_000_000);
    for (let i = 0, x = seed; i < bytes.length; i++) {
      x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
      bytes[i] = x >>> 24;
    }
    return bytes;
  };

  test("keeps to the budget, drops what was not used for longest, and never what is pinned", async () => {
    await using cache = await startImageCache({ budgetBytes: 7_500_000 });
    const { client } = cache;
    const images = ["e1", "e2", "e3", "e4", "e5"].map((name, i) => publish(name, bulk(i + 1)));
    for (const [i, { reference, image }] of images.entries()) {
      await cache.ensure(reference, image.digest, i === 0 ? "m1" : "");
    }

    const { images: left, usedBytes } = await call(
      client,
      client.listImages,
      { pageSize: 0, pageToken: "" },
      TIMEOUT,
    );

    const digests = left.map((i) => i.digest);
    expect(usedBytes).toBeLessThanOrEqual(7_500_000n);
    expect(digests).toContain(images[0]?.image.digest);
    expect(digests).toContain(images[4]?.image.digest);
    expect(digests).not.toContain(images[1]?.image.digest);
  });

  test("refuses an image when what is pinned leaves no room, and breaks nothing", async () => {
    await using cache = await startImageCache({ budgetBytes: 4_000_000 });
    const pinned = publish("full1", bulk(11));
    const other = publish("full2", bulk(12));
    const third = publish("full3", bulk(13));
    await cache.ensure(pinned.reference, pinned.image.digest, "m1");
    await cache.ensure(other.reference, other.image.digest, "m2");

    const refused = cache.ensure(third.reference, third.image.digest, "m3");

    await expect(refused).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "DISK_FULL" });
    for (const { image } of [pinned, other]) {
      await call(cache.client, cache.client.getImage, { digest: image.digest }, TIMEOUT);
    }
  });

  test("refuses an image that is larger than the whole budget", async () => {
    await using cache = await startImageCache({ budgetBytes: 500_000 });
    const { reference, image } = publish("larger", bulk(21));

    await expect(cache.ensure(reference, image.digest)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_TOO_LARGE",
      facts: { limit: "500000" },
    });
  });
});

function readStart(pid: number): string {
  const fs = process.getBuiltinModule("node:fs");
  const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
  const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}@${boot}`;
}
