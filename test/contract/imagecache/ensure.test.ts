import { readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call } from "../../../src/lib/grpc/client.ts";
import { buildImage, buildIndex, FakeRegistry } from "../../support/oci/index.ts";
import { catSquashfs, openEnsure, publishTo, startImageCache, TIMEOUT } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());

const publish = (name: string, content?: string | Buffer) => publishTo(registry, name, content);

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
      labels: new Map([["maintainer", "nobody"]]),
      volumes: ["/cache", "/var/lib/data"],
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

    expect(readFileSync(first.rootfs).equals(readFileSync(second.rootfs))).toBe(true);
  });

  test("downloads a layer that images share once, and has other repositories prove that they have it", async () => {
    await using cache = await startImageCache();
    const base = [{ path: "base", content: Buffer.alloc(100_000, 7) }];
    const images = ["a", "b"].map((name) => buildImage({ layers: [base, [{ path: name }]] }));
    for (const [i, image] of images.entries()) registry.add(`shared${i}`, "latest", image);
    const shared = images[0]?.layers[0]?.digest ?? "";

    for (const [i, image] of images.entries())
      await cache.ensure(`${registry.host}/shared${i}`, image.digest);

    const asked = registry.requests.filter(({ target }) => target === shared);
    expect(asked.map(({ url, headers }) => [url.split("/")[2], headers["range"]])).toEqual([
      ["shared0", undefined],
      ["shared1", expect.stringMatching(/^bytes=\d+-\d+$/)],
    ]);
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
    // An answer that is complete counts until its connection is free.
    await expect.poll(() => registry.answering).toBe(1);
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
