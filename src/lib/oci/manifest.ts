import { type Digest, parseDigest } from "./digest.ts";
import { imageFault, type Subject } from "./faults.ts";

/** A reference to bytes in a registry. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

export interface PlatformDescriptor extends Descriptor {
  /** `linux/amd64` or `linux/arm64/v8`; empty when unknown. */
  readonly platform: string;
}

export interface ImageManifest {
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

/** A manifest, or an index of images for several platforms. */
export type ManifestDocument =
  | { readonly kind: "image"; readonly manifest: ImageManifest }
  | { readonly kind: "index"; readonly images: readonly PlatformDescriptor[] };

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";
export const ACCEPTED_MANIFESTS = [
  `${OCI}.index.v1+json`,
  `${OCI}.manifest.v1+json`,
  `${DOCKER}.distribution.manifest.list.v2+json`,
  `${DOCKER}.distribution.manifest.v2+json`,
] as const;
const INDEXES: readonly string[] = [ACCEPTED_MANIFESTS[0], ACCEPTED_MANIFESTS[2]];
const CONFIGS: readonly string[] = [`${OCI}.config.v1+json`, `${DOCKER}.container.image.v1+json`];
const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar)(?:[.+](?:gzip|zstd))?$/;
/** More than overlay-based engines can mount. */
const MAX_LAYERS = 512;

/**
 * Parses a manifest or an index.
 *
 * @param contentType of the response; used only when the document has no media type
 * @throws Fault `NOT_AN_IMAGE` or `LAYER_TYPE_UNKNOWN`
 */
export function parseManifest(body: Buffer, contentType: string, subject: Subject): ManifestDocument {
  const json = parseJson(body, "the manifest", subject);
  const mediaType =
    typeof json["mediaType"] === "string" ? json["mediaType"] : contentType.split(";")[0]?.trim();
  if (json["schemaVersion"] === 1) {
    throw notAnImage(
      subject,
      "it is in Docker's first format, given up in 2017; push it again with a current tool",
    );
  }
  if (
    INDEXES.includes(mediaType ?? "") ||
    (Array.isArray(json["manifests"]) && json["config"] === undefined)
  ) {
    return {
      kind: "index",
      images: array(json["manifests"]).map((entry) => platformDescriptor(entry, subject)),
    };
  }
  if (!Array.isArray(json["layers"]) || json["config"] === undefined) {
    throw notAnImage(subject, `it is a ${mediaType || "document of unknown type"}, not an image manifest`);
  }
  const config = descriptor(json["config"], subject);
  if (!CONFIGS.includes(config.mediaType)) {
    throw notAnImage(subject, `it is an artifact (${config.mediaType}), not a container image`);
  }
  if (json["layers"].length > MAX_LAYERS) {
    throw notAnImage(subject, `it has ${json["layers"].length} layers, more than ${MAX_LAYERS}`);
  }
  const layers = json["layers"].map((layer, index) => layerDescriptor(layer, index, subject));
  return { kind: "image", manifest: { config, layers } };
}

/** Parses a JSON object. @throws Fault `NOT_AN_IMAGE` */
export function parseJson(body: Buffer, what: string, subject: Subject): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(body.toString("utf8"));
    if (typeof json === "object" && json !== null && !Array.isArray(json))
      return json as Record<string, unknown>;
  } catch (err) {
    throw notAnImage(subject, `${what} is not JSON`, err);
  }
  throw notAnImage(subject, `${what} is not a JSON object`);
}

/** Makes the fault for something that is not a container image. */
export function notAnImage(subject: Subject, problem: string, cause?: unknown) {
  return imageFault("NOT_AN_IMAGE", subject, problem, {}, cause === undefined ? {} : { cause });
}

function layerDescriptor(value: unknown, layerIndex: number, subject: Subject): Descriptor {
  const layer = descriptor(value, subject);
  if (LAYER.test(layer.mediaType)) return layer;
  throw imageFault(
    "LAYER_TYPE_UNKNOWN",
    { ...subject, layer: layer.digest, layerIndex },
    `its media type ${layer.mediaType} is not a tar layer; plain, gzip and zstd layers of OCI and Docker images can be used`,
    { media_type: layer.mediaType },
  );
}

function platformDescriptor(value: unknown, subject: Subject): PlatformDescriptor {
  const platform = record(record(value)["platform"]);
  const parts = [platform["os"], platform["architecture"], platform["variant"]];
  const named = parts.filter((part) => typeof part === "string" && part !== "");
  return { ...descriptor(value, subject), platform: named.join("/") };
}

function descriptor(value: unknown, subject: Subject): Descriptor {
  const { mediaType, digest, size } = record(value);
  const parsed = typeof digest === "string" ? parseDigest(digest) : undefined;
  if (
    typeof mediaType !== "string" ||
    parsed === undefined ||
    !Number.isSafeInteger(size) ||
    Number(size) < 0
  ) {
    const shown = JSON.stringify(value ?? null).slice(0, 200);
    throw notAnImage(
      subject,
      `its manifest has an unusable descriptor (only sha256 digests are supported): ${shown}`,
    );
  }
  return { mediaType, digest: parsed, size: Number(size) };
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Returns an object whose properties can be read, empty when `value` is none. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
