import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call } from "../../../src/lib/grpc/client.ts";
import { buildImage, FakeRegistry, type Manifest } from "../../support/oci/index.ts";
import { publishTo, startImageCache, type TestImageCache, TIMEOUT } from "./fixture.ts";

let registry: FakeRegistry;
beforeAll(async () => {
  registry = await FakeRegistry.start();
});
afterAll(() => registry[Symbol.asyncDispose]());

const MB = 1_000_000;

function publish(name: string, bytes: number) {
  return publishTo(registry, name, randomBytes(bytes));
}

/** Bytes of images, layers and what is being written. */
async function usedBytes({ client }: TestImageCache): Promise<number> {
  return Number((await call(client, client.listImages, { pageSize: 0, pageToken: "" }, TIMEOUT)).usedBytes);
}

describe("an image that unpacks to far more than its layers", () => {
  /** Repeats itself within gzip's window: a hundredth of its size when packed. */
  const content = (bytes: number) => Buffer.alloc(bytes, randomBytes(16_384));
  const image = buildImage({ layers: [[{ path: "repeats", content: content(100 * MB) }]] });

  test("is refused before it is written when it could not fit, and others go on", async () => {
    await using cache = await startImageCache({ budgetBytes: 64 * MB });
    const victim = publish("victim", MB);
    await cache.ensure(victim.reference, victim.image.digest, "m1", { org: "victim" });
    registry.add("repeats", "latest", image);

    const refused = cache.ensure(`${registry.host}/repeats`, image.digest, "m2", { org: "abuser" });

    await expect(refused).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "IMAGE_TOO_LARGE",
      message: expect.stringContaining("IMAGECACHE_BUDGET_MB"),
      facts: { limit: "64000000 bytes of disk" },
    });
    expect(await usedBytes(cache)).toBeLessThan(10 * MB);
    expect(readdirSync(join(cache.dir, "tmp"))).toEqual([]);
    const next = publish("victim-next", MB);
    await cache.ensure(next.reference, next.image.digest, "m3", { org: "victim" });
  });
});

test("what a manifest says about its layers evicts nothing before they come", async () => {
  await using cache = await startImageCache({ budgetBytes: 64 * MB });
  const victim = publish("idle", 5 * MB);
  const { rootfs } = await cache.ensure(victim.reference, victim.image.digest, "", { org: "victim" });
  const tamper = ({ layers }: Manifest) => {
    for (const layer of layers) layer.size = 31 * MB;
  };
  const liar = buildImage({ layers: [[{ path: "liar" }]], tamper });
  registry.add("liar", "latest", liar);

  const refused = cache.ensure(`${registry.host}/liar`, liar.digest, "m1", { org: "abuser" });

  await expect(refused).rejects.toMatchObject({ reason: "LAYER_TRUNCATED" });
  expect(existsSync(rootfs)).toBe(true);
});

describe("an organisation's share of the cache", () => {
  test("bounds the layers of its pulls, which take no room from others while they are slow", async () => {
    await using cache = await startImageCache({ budgetBytes: 64 * MB, orgBudgetBytes: 32 * MB });
    const large = ["l1", "l2", "l3"].map((name) => publish(name, 20 * MB));
    const layers = large.map(({ image }) => image.layers[0]?.digest ?? "");
    registry.script = ({ target }) => (layers.includes(target) ? { stallAfter: 20 * MB } : undefined);
    for (const { reference, image } of large)
      cache.ensure(reference, image.digest, "", { org: "abuser" }).catch(() => undefined);
    const sent = () => layers.map((layer) => registry.bytesServed(layer)).filter((bytes) => bytes > 0);
    await expect.poll(sent).toEqual([20 * MB]);
    const victim = publish("small", 5 * MB);

    await cache.ensure(victim.reference, victim.image.digest, "m1", { org: "victim" });

    expect(sent()).toEqual([20 * MB]);
    registry.script = () => undefined;
  });

  test("bounds what its machines pin, and neither stops others nor images it has already", async () => {
    await using cache = await startImageCache({ budgetBytes: 64 * MB, orgBudgetBytes: 5 * MB });
    const [first, second, third] = ["s1", "s2", "s3"].map((name) => publish(name, 2 * MB));
    if (!first || !second || !third) throw new Error("unreachable");
    const abuser = { org: "abuser" };
    await cache.ensure(first.reference, first.image.digest, "m1", abuser);
    await cache.ensure(second.reference, second.image.digest, "m2", abuser);

    const refused = cache.ensure(third.reference, third.image.digest, "m3", abuser);

    await expect(refused).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "IMAGE_SHARE_EXCEEDED",
      message: expect.stringContaining("abuser"),
      facts: { org: "abuser", limit_bytes: "5000000" },
    });
    await cache.ensure(first.reference, first.image.digest, "m4", abuser);
    await cache.ensure(third.reference, third.image.digest, "m5", { org: "victim" });
    const pin = { digest: third.image.digest, owner: "m6", org: "abuser" };
    await expect(call(cache.client, cache.client.pinImage, pin, TIMEOUT)).rejects.toMatchObject({
      reason: "IMAGE_SHARE_EXCEEDED",
    });
  });

  test("is free again when a machine goes, and survives a restart", async () => {
    await using old = await startImageCache({ budgetBytes: 64 * MB, orgBudgetBytes: 3 * MB });
    const [first, second] = ["r1", "r2"].map((name) => publish(name, 2 * MB));
    if (!first || !second) throw new Error("unreachable");
    const org = { org: "one" };
    await old.ensure(first.reference, first.image.digest, "m1", org);
    await old.stop();
    await using cache = await startImageCache({ dir: old.dir, budgetBytes: 64 * MB, orgBudgetBytes: 3 * MB });
    const refused = cache.ensure(second.reference, second.image.digest, "m2", org);
    await expect(refused).rejects.toMatchObject({ reason: "IMAGE_SHARE_EXCEEDED" });

    await call(cache.client, cache.client.unpinImage, { digest: first.image.digest, owner: "m1" }, TIMEOUT);

    await cache.ensure(second.reference, second.image.digest, "m2", org);
  });

  test("is told by hostd again when it starts, for pins made before there were shares", async () => {
    await using cache = await startImageCache({ budgetBytes: 64 * MB, orgBudgetBytes: 3 * MB });
    const [first, second] = ["t1", "t2"].map((name) => publish(name, 2 * MB));
    if (!first || !second) throw new Error("unreachable");
    const { digest } = first.image;
    await cache.ensure(first.reference, digest, "m1");

    const pins = [{ digest, owner: "m1", org: "one" }];
    await call(cache.client, cache.client.reconcilePins, { pins }, TIMEOUT);

    const refused = cache.ensure(second.reference, second.image.digest, "m2", { org: "one" });
    await expect(refused).rejects.toMatchObject({ reason: "IMAGE_SHARE_EXCEEDED" });
  });
});
