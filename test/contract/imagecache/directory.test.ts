import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call } from "../../../src/lib/grpc/client.ts";
import { buildImage, FakeRegistry } from "../../support/oci/index.ts";
import { catSquashfs, publishTo, startImageCache, TIMEOUT } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());

const publish = (name: string, content?: string | Buffer) => publishTo(registry, name, content);

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

function readStart(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return `${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}@${boot}`;
}
