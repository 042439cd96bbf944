import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RegistryClient } from "../../../src/lib/oci/registry.ts";
import { type BuiltImage, buildImage, FakeRegistry, sha256 } from "../../support/oci/index.ts";
import { signal, sourceOf } from "./registry-fixture.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

let registry: FakeRegistry;
let client: RegistryClient;
beforeEach(async () => {
  registry = await FakeRegistry.start();
  client = new RegistryClient({ retry: { attempts: 1, firstMs: 1, maxMs: 1 }, allowPrivate: ["127.0.0.1"] });
});
afterEach(async () => {
  client.close();
  await registry[Symbol.asyncDispose]();
});

function resolve(name = "x") {
  return client.resolve(sourceOf(`${registry.host}/${name}`), signal);
}

const of = (architecture: string, os = "linux") =>
  buildImage({ layers: [[{ path: architecture }]], platform: { os, architecture } });

/** An index with entries as they are given. */
function indexOf(entries: readonly object[], children: readonly BuiltImage[]): BuiltImage {
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: entries }));
  return { digest: sha256(manifest), manifest, mediaType: INDEX, blobs: new Map(), children, layers: [] };
}

const entryOf = ({ digest, manifest, mediaType }: BuiltImage, platform?: object) => ({
  ...{ mediaType, digest, size: manifest.length },
  ...(platform ? { platform } : {}),
});

describe("an entry of an index without a platform", () => {
  test("is the image when its configuration is for us", async () => {
    const [mine, arm] = [of("amd64"), of("arm64")];
    registry.add("x", "latest", indexOf([entryOf(arm), entryOf(mine)], [arm, mine]));

    expect((await resolve()).digest).toBe(mine.digest);
  });

  test("comes after one that names our platform", async () => {
    const [mine, unnamed] = [of("amd64"), buildImage({ layers: [[{ path: "other" }]] })];
    const named = entryOf(mine, { os: "linux", architecture: "x86_64" });
    registry.add("x", "latest", indexOf([entryOf(unnamed), named], [mine, unnamed]));

    expect((await resolve()).digest).toBe(mine.digest);
    expect(registry.count("manifest", unnamed.digest)).toBe(0);
  });

  test("is passed over when it is no image, or is not there", async () => {
    const mine = of("amd64");
    const artifact = buildImage({
      layers: [],
      tamper: (manifest) => {
        manifest.config.mediaType = "application/vnd.oci.empty.v1+json";
      },
    });
    const missing = { ...entryOf(mine), digest: `sha256:${"0".repeat(64)}` };
    const entries = [entryOf(artifact), missing, entryOf(mine)];
    registry.add("x", "latest", indexOf(entries, [artifact, mine]));

    expect((await resolve()).digest).toBe(mine.digest);
  });

  test("does not make an index of others an image for us", async () => {
    const [arm, windows] = [of("arm64"), of("amd64", "windows")];
    registry.add(
      "x",
      "latest",
      indexOf([entryOf(arm), entryOf(windows, { os: "windows", architecture: "amd64" })], [arm, windows]),
    );

    await expect(resolve()).rejects.toMatchObject({ reason: "PLATFORM_NOT_AVAILABLE" });
  });

  test("may be an index again", async () => {
    const mine = of("amd64");
    const inner = indexOf([entryOf(mine, { os: "linux", architecture: "amd64" })], [mine]);
    registry.add("x", "latest", indexOf([entryOf(inner)], [inner]));

    expect((await resolve()).digest).toBe(mine.digest);
  });
});

test("entries of unknown media types and digest algorithms are ignored", async () => {
  const mine = of("amd64");
  const platform = { os: "linux", architecture: "amd64" };
  const entries = [
    { ...entryOf(mine, platform), digest: `sha512:${"ab".repeat(64)}` },
    { ...entryOf(mine, platform), mediaType: "application/vnd.in-toto+json" },
    entryOf(mine, platform),
  ];
  registry.add("x", "latest", indexOf(entries, [mine]));

  expect((await resolve()).digest).toBe(mine.digest);
});

test.each(["x86_64", "x86-64", "AMD64"])("an image for %s is for us", async (architecture) => {
  registry.add("x", "latest", of(architecture));

  expect((await resolve()).config.platform).toMatchObject({ os: "linux", architecture: "amd64" });
});

test("an older image, whose configuration has the media type application/octet-stream, is an image", async () => {
  const old = buildImage({
    layers: [[{ path: "a" }]],
    mediaTypes: "docker",
    config: { Cmd: ["/a"] },
    tamper: (manifest) => {
      manifest.config.mediaType = "application/octet-stream";
    },
  });
  registry.add("x", "latest", old);

  expect((await resolve()).config.run.cmd).toEqual(["/a"]);
});

test("a digest names one thing, whatever the registry says it is", async () => {
  const mine = of("amd64");
  const both = {
    schemaVersion: 2,
    ...JSON.parse(mine.manifest.toString()),
    manifests: [entryOf(of("arm64"))],
  };
  const manifest = Buffer.from(JSON.stringify(both));
  registry.add("x", "latest", { ...mine, manifest, digest: sha256(manifest) });
  let type = INDEX;
  registry.script = ({ kind }) => (kind === "manifest" ? { headers: { "content-type": type } } : undefined);

  for (type of [INDEX, mine.mediaType, "application/json"])
    await expect(resolve(`x@${sha256(manifest)}`)).rejects.toMatchObject({ reason: "NOT_AN_IMAGE" });
});
