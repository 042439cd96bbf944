import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call } from "../../../src/lib/grpc/client.ts";
import { FakeRegistry } from "../../support/oci/index.ts";
import { MISSING, publishTo, startImageCache, TIMEOUT } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());

const publish = (name: string, content?: string | Buffer) => publishTo(registry, name, content);

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
    await call(client, client.pinImage, { digest, owner: "m2", org: "" }, TIMEOUT);

    const refused = call(client, client.removeImage, { digest }, TIMEOUT);
    await expect(refused).rejects.toMatchObject({ reason: "IMAGE_PINNED", facts: { owners: "m1,m2" } });

    for (const owner of ["m1", "m2", "m2"]) await call(client, client.unpinImage, { digest, owner }, TIMEOUT);
    await call(client, client.removeImage, { digest }, TIMEOUT);
    const pin = call(client, client.pinImage, { digest, owner: "m1", org: "" }, TIMEOUT);
    await expect(pin).rejects.toMatchObject({ reason: "IMAGE_NOT_CACHED" });
  });

  test("keep their pins over a restart, until the set is reconciled", async () => {
    await using old = await startImageCache();
    const { reference, image } = publish("restart");
    const { digest } = image;
    await old.ensure(reference, digest, "m1");
    await call(old.client, old.client.pinImage, { digest, owner: "m2", org: "" }, TIMEOUT);
    await old.stop();
    await using cache = await startImageCache({ dir: old.dir });
    const { client } = cache;

    const kept = await call(client, client.getImage, { digest }, TIMEOUT);
    expect(kept.image?.owners).toEqual(["m1", "m2"]);
    const pins = [
      { digest, owner: "m2", org: "" },
      { digest, owner: "m3", org: "" },
      { digest: MISSING, owner: "m4", org: "" },
    ];
    const changed = await call(client, client.reconcilePins, { pins }, TIMEOUT);
    expect(changed).toEqual({ added: 2, dropped: 1, missingDigests: [MISSING] });
    const again = await call(client, client.reconcilePins, { pins }, TIMEOUT);
    expect(again).toEqual({ added: 0, dropped: 0, missingDigests: [MISSING] });
    const after = await call(client, client.getImage, { digest }, TIMEOUT);
    expect(after.image?.owners).toEqual(["m2", "m3"]);
    const part = { pins: [{ digest, owner: "m1", org: "" }], upToOwner: "m2" };
    const inPart = await call(client, client.reconcilePins, part, TIMEOUT);
    expect(inPart).toEqual({ added: 1, dropped: 1, missingDigests: [] });
    const rest = await call(client, client.getImage, { digest }, TIMEOUT);
    expect(rest.image?.owners).toEqual(["m1", "m3"]);
    const outside = call(client, client.reconcilePins, { ...part, afterOwner: "m1" }, TIMEOUT);
    await expect(outside).rejects.toMatchObject({ violations: [{ field: "pins[0].owner" }] });
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

    await expect(refused).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "DISK_FULL",
      facts: {
        reference: expect.stringContaining("full3"),
        digest: third.image.digest,
        budget_bytes: "4000000",
      },
    });
    for (const { image } of [pinned, other]) {
      await call(cache.client, cache.client.getImage, { digest: image.digest }, TIMEOUT);
    }
  });

  test("refuses an image that could never fit, with its layers, into the budget", async () => {
    await using cache = await startImageCache({ budgetBytes: 500_000 });
    const { reference, image } = publish("larger", bulk(21));

    await expect(cache.ensure(reference, image.digest)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_TOO_LARGE",
      facts: { limit: "250000", digest: image.digest },
    });
  });
});
