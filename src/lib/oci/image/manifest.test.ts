import { describe, expect, test } from "vitest";
import { parseManifest } from "./manifest.ts";
import { formatPlatform, toPlatform } from "./platform.ts";

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker.distribution.manifest";
const DIGEST = `sha256:${"ab".repeat(32)}`;
const CONFIG = { mediaType: `${OCI}.config.v1+json`, digest: DIGEST, size: 2 };
const LAYER = { mediaType: `${OCI}.layer.v1.tar+gzip`, digest: DIGEST, size: 3 };
const IMAGE = { schemaVersion: 2, config: CONFIG, layers: [LAYER] };
const ENTRY = { mediaType: `${OCI}.manifest.v1+json`, digest: DIGEST, size: 4 };
const INDEX = { schemaVersion: 2, manifests: [ENTRY] };

const parse = (document: object | string, contentType = "") => {
  const text = typeof document === "string" ? document : JSON.stringify(document);
  return parseManifest(Buffer.from(text), contentType, { reference: "r/x" });
};

describe("a document that can be read in more than one way is refused, however it is served", () => {
  const served = ["", `${OCI}.manifest.v1+json`, `${OCI}.index.v1+json`, `${DOCKER}.v2+json`];

  test.each<[string, object | string]>([
    ["fields of both", { ...IMAGE, ...INDEX }],
    ["layers in an index", { ...INDEX, layers: [LAYER] }],
    ["an empty list of manifests in an image", { ...IMAGE, manifests: [] }],
    ["layers of Docker's first format", { ...IMAGE, fsLayers: [] }],
    ["both, and a media type", { ...IMAGE, ...INDEX, mediaType: `${OCI}.manifest.v1+json` }],
    ["the media type of an index on an image", { ...IMAGE, mediaType: `${OCI}.index.v1+json` }],
    ["the media type of an image on an index", { ...INDEX, mediaType: `${DOCKER}.v2+json` }],
    ["a media type of neither", { ...IMAGE, mediaType: "application/vnd.cncf.model.manifest.v1+json" }],
    ["a field in another case", { ...IMAGE, Manifests: [ENTRY] }],
    ["a field twice", `{"schemaVersion":2,"config":${JSON.stringify(CONFIG)},"layers":[],"layers":[]}`],
    ["a layer's digest twice", JSON.stringify(IMAGE).replace(/"size":3/, `"size":3,"digest":"${DIGEST}"`)],
    ["a layer's digest in two cases", { ...IMAGE, layers: [{ ...LAYER, Digest: DIGEST }] }],
    ["the configuration's digest in another case", { ...IMAGE, config: { ...CONFIG, DIGEST } }],
    ["an entry's platform in two cases", { ...INDEX, manifests: [{ ...ENTRY, platform: {}, Platform: {} }] }],
    ["a field with letters that fold to those of another", { ...IMAGE, "manife\u017ft\u017f": [ENTRY] }],
    ["a field twice, in two cases", `{"schemaVersion":2,"manifests":[],"MANIFESTS":[]}`],
  ])("%s", (_, document) => {
    for (const contentType of served)
      expect(() => parse(document, contentType)).toThrow(expect.objectContaining({ reason: "NOT_AN_IMAGE" }));
  });
});

describe("what a document is does not depend on how it is served", () => {
  test.each([
    ["image", IMAGE, `${OCI}.manifest.v1+json`, `${DOCKER}.list.v2+json`],
    [
      "image",
      { ...IMAGE, mediaType: `${DOCKER}.v2+json` },
      `${OCI}.manifest.v1+json`,
      `${OCI}.index.v1+json`,
    ],
    ["index", INDEX, `${OCI}.index.v1+json; charset=utf-8`, `${OCI}.manifest.v1+json`],
    [
      "index",
      { ...INDEX, mediaType: `${OCI}.index.v1+json` },
      "Application/VND.oci.image.index.v1+json",
      `${DOCKER}.v2+json`,
    ],
  ])("%s (%#)", (kind, document, right, wrong) => {
    for (const contentType of [right, "", "application/json", "text/plain"])
      expect(parse(document, contentType).kind).toBe(kind);
    expect(() => parse(document, wrong)).toThrow("the registry says");
  });
});

describe("an index", () => {
  test("gives those entries that are images or indexes, with a digest that can be checked", () => {
    const platform = { os: "linux", architecture: "x86_64" };
    const manifests = [
      { ...ENTRY, platform },
      ENTRY,
      { ...ENTRY, platform: {} },
      { ...ENTRY, mediaType: `${OCI}.index.v1+json` },
      { ...ENTRY, mediaType: "application/vnd.example+json", platform },
      { ...ENTRY, mediaType: undefined, platform },
      { ...ENTRY, digest: `sha512:${"ab".repeat(64)}`, platform },
      { ...ENTRY, digest: "blake3:ab", platform },
      { ...ENTRY, digest: 7 },
      null,
      "text",
    ];

    const document = parse({ ...INDEX, manifests });

    const amd64 = { os: "linux", architecture: "amd64", variant: "" };
    expect(document).toEqual({
      kind: "index",
      images: [
        { digest: DIGEST, platform: amd64 },
        { digest: DIGEST, platform: undefined },
        { digest: DIGEST, platform: undefined },
        { digest: DIGEST, platform: undefined },
      ],
    });
  });
});

test.each(["application/octet-stream", "application/json", "text/html", ""])(
  "a configuration of an older image may have the media type %j",
  (mediaType) => {
    expect(parse({ ...IMAGE, config: { ...CONFIG, mediaType } }).kind).toBe("image");
  },
);

test.each(["application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.empty.v1+json"])(
  "what is no image is an artifact: %s",
  (mediaType) => {
    expect(() => parse({ ...IMAGE, config: { ...CONFIG, mediaType } })).toThrow(`an artifact (${mediaType})`);
  },
);

test.each([
  ["many values", JSON.stringify({ ...IMAGE, annotations: Array.from({ length: 60_000 }, () => []) })],
  ["deep nesting", `{"schemaVersion":2,"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
])("a document that takes long to read is refused unread: %s", (_, document) => {
  expect(() => parse(document)).toThrow(expect.objectContaining({ reason: "NOT_AN_IMAGE" }));
});

test.each<object | string>([
  "canary-7f3a91",
  '{"a": canary-7f3a91}',
  { ...IMAGE, mediaType: "canary-7f3a91" },
  { ...IMAGE, config: { ...CONFIG, mediaType: "text/canary-7f3a91" } },
  { ...IMAGE, config: { password: "canary-7f3a91" } },
  { ...IMAGE, layers: [{ ...LAYER, mediaType: "x/canary-7f3a91" }] },
  { ...IMAGE, layers: [{ password: "canary-7f3a91" }] },
])("what an address answers is not repeated: %j", (document) => {
  let thrown: unknown;
  try {
    parse(document);
  } catch (err) {
    thrown = err;
  }

  const { message, facts, cause } = thrown as { message: string; facts: object; cause?: unknown };
  expect(`${message} ${JSON.stringify(facts)} ${String(cause)}`).not.toContain("canary");
});

test.each([
  ["linux", "x86_64", "", "linux/amd64"],
  ["", "AMD64", "v1", "linux/amd64"],
  ["Linux", "x86-64", "v2", "linux/amd64/v2"],
  ["linux", "aarch64", "", "linux/arm64"],
  ["linux", "arm64", "8", "linux/arm64"],
  ["linux", "arm64", "v8", "linux/arm64"],
  ["linux", "arm64", "v9", "linux/arm64/v9"],
  ["linux", "arm", "", "linux/arm/v7"],
  ["linux", "arm", "6", "linux/arm/v6"],
  ["linux", "armhf", "", "linux/arm/v7"],
  ["linux", "armel", "", "linux/arm/v6"],
  ["linux", "i386", "", "linux/386"],
  ["macos", "aarch64", "", "darwin/arm64"],
  ["canary", "canary", "canary", "unknown/unknown"],
])("%s, %s and %s are the platform %s", (os, architecture, variant, platform) => {
  expect(formatPlatform(toPlatform({ os, architecture, variant }))).toBe(platform);
});
