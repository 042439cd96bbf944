import { type Digest, parseDigest } from "../digest.ts";
import { imageFault, type Subject } from "../faults.ts";
import { isModest, repeatsField } from "./json-scan.ts";
import { type Platform, toPlatform } from "./platform.ts";

/** A reference to bytes in a registry. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** An image, or an index, of an index. */
export interface IndexEntry {
  readonly digest: Digest;
  /** Undefined: only its configuration says. */
  readonly platform: Platform | undefined;
}

export interface ImageManifest {
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

/** A manifest, or an index of images for several platforms. */
export type ManifestDocument =
  | { readonly kind: "image"; readonly manifest: ImageManifest }
  | { readonly kind: "index"; readonly images: readonly IndexEntry[] };

const OCI = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker";
export const ACCEPTED_MANIFESTS = [
  `${OCI}.index.v1+json`,
  `${OCI}.manifest.v1+json`,
  `${DOCKER}.distribution.manifest.list.v2+json`,
  `${DOCKER}.distribution.manifest.v2+json`,
] as const;
const KINDS: ReadonlyMap<string, ManifestDocument["kind"]> = new Map([
  [ACCEPTED_MANIFESTS[0], "index"],
  [ACCEPTED_MANIFESTS[1], "image"],
  [ACCEPTED_MANIFESTS[2], "index"],
  [ACCEPTED_MANIFESTS[3], "image"],
]);
/** Fields of each kind. One of another kind makes a document that readers read differently (CVE-2021-41190). */
const FIELDS = { image: ["config", "layers"], index: ["manifests"], first: ["fsLayers"] } as const;
const ALL_FIELDS = ["schemaVersion", "mediaType", ...Object.values(FIELDS).flat()];
const DESCRIPTOR_FIELDS = ["mediaType", "digest", "size", "platform"];
/** The last four are of older images: see docker/distribution, issue 1621. Docker accepts them too. */
const CONFIGS: readonly string[] = [
  ...[`${OCI}.config.v1+json`, `${DOCKER}.container.image.v1+json`],
  ...["application/octet-stream", "application/json", "text/html", ""],
];
const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar)(?:[.+](?:gzip|zstd))?$/;
/** Media types that are shown to users. Others may be anything that an address answers with. */
const SHOWN_TYPE = /^application\/vnd\.[a-z0-9.+-]{1,80}$/;
/** More than overlay-based engines can mount. */
const MAX_LAYERS = 512;
/** More take the thread that all share too long. Large real ones have a few thousand. */
const MAX_VALUES = 100_000;
const MAX_JSON_DEPTH = 64;

/**
 * Parses a manifest or an index. What it is depends on the document alone.
 *
 * @param contentType of the response, which must not contradict the document
 * @throws Fault `NOT_AN_IMAGE` or `LAYER_TYPE_UNKNOWN`
 */
export function parseManifest(body: Buffer, contentType: string, subject: Subject): ManifestDocument {
  const json = parseJson(body, "the manifest", subject);
  if (repeatsField(body)) throw ambiguous(subject);
  const kind = kindOf(json, contentType, subject);
  if (kind === "index") {
    const entries = array(json["manifests"]);
    return { kind, images: entries.flatMap((entry) => indexEntry(entry, subject)) };
  }
  const config = descriptor(json["config"], subject);
  if (!CONFIGS.includes(config.mediaType))
    throw notAnImage(subject, `it is an artifact (${shown(config.mediaType)}), not a container image`);
  const layers = array(json["layers"]);
  if (layers.length > MAX_LAYERS)
    throw notAnImage(subject, `it has ${layers.length} layers, more than ${MAX_LAYERS}`);
  return {
    kind,
    manifest: { config, layers: layers.map((layer, index) => layerDescriptor(layer, index, subject)) },
  };
}

/** Parses a JSON object. @throws Fault `NOT_AN_IMAGE` */
export function parseJson(body: Buffer, what: string, subject: Subject): Record<string, unknown> {
  if (!isModest(body, MAX_VALUES, MAX_JSON_DEPTH))
    throw notAnImage(subject, `${what} has more than ${MAX_VALUES} values, or is nested too deeply`);
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    // Not the cause: its message has a piece of the body.
    throw notAnImage(subject, `${what} is not JSON`);
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw notAnImage(subject, `${what} is not a JSON object`);
}

/** Makes the fault for something that is not a container image. */
export function notAnImage(subject: Subject, problem: string) {
  return imageFault("NOT_AN_IMAGE", subject, problem);
}

/** Returns an object whose properties can be read, empty when `value` is none. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function kindOf(
  json: Record<string, unknown>,
  contentType: string,
  subject: Subject,
): ManifestDocument["kind"] {
  const has = (fields: readonly string[]) => fields.some((field) => (json[field] ?? undefined) !== undefined);
  if (json["schemaVersion"] === 1) {
    throw notAnImage(
      subject,
      "it is in Docker's first format, given up in 2017; push it again with a current tool",
    );
  }
  const structures = Object.entries(FIELDS).filter(([, fields]) => has(fields));
  const [structure] = structures.map(([name]) => name);
  if (structures.length > 1 || hasLookAlike(json, ALL_FIELDS)) throw ambiguous(subject);
  const named = json["mediaType"];
  const type = typeof named === "string" ? named : "";
  const kind = type === "" ? structure : KINDS.get(type.toLowerCase());
  const isWhole =
    kind === "index" ? Array.isArray(json["manifests"]) : has(["config"]) && Array.isArray(json["layers"]);
  if (kind !== structure || (kind !== "image" && kind !== "index") || !isWhole) {
    const what = type === "" ? "document of unknown type" : shown(type);
    throw notAnImage(subject, `it is a ${what}, not an image manifest or index`);
  }
  const served = KINDS.get(contentType.split(";")[0]?.trim().toLowerCase() ?? "");
  if (served !== undefined && served !== kind)
    throw notAnImage(subject, `its manifest is an ${kind}, and the registry says it is an ${served}`);
  return kind;
}

/** Whether a field differs from a known one by case only: readers in Go take the one for the other. */
function hasLookAlike(json: Record<string, unknown>, known: readonly string[]): boolean {
  const foldedFields = known.map(folded);
  return Object.keys(json).some((key) => !known.includes(key) && foldedFields.includes(folded(key)));
}

/** Folds case as Go does: the long s (ſ) counts as an s, which lower case alone does not tell. */
function folded(text: string): string {
  return text.toUpperCase().toLowerCase();
}

function ambiguous(subject: Subject) {
  const problem = "its manifest can be read in more than one way; push it again with a current tool";
  return notAnImage(subject, problem);
}

/** Leaves out what is neither an image nor an index, and what has a digest of another algorithm. */
function indexEntry(value: unknown, subject: Subject): IndexEntry[] {
  const { mediaType, digest, platform } = descriptorFields(value, subject);
  const parsed = typeof digest === "string" ? parseDigest(digest) : undefined;
  const isKnown = typeof mediaType === "string" && KINDS.has(mediaType.toLowerCase());
  if (!isKnown || parsed === undefined) return [];
  const named = record(platform);
  // Without an architecture it says nothing.
  const isGiven = typeof named["architecture"] === "string" && named["architecture"] !== "";
  return [{ digest: parsed, platform: isGiven ? toPlatform(named) : undefined }];
}

function layerDescriptor(value: unknown, layerIndex: number, subject: Subject): Descriptor {
  const layer = descriptor(value, subject);
  if (LAYER.test(layer.mediaType)) return layer;
  const type = shown(layer.mediaType);
  throw imageFault(
    "LAYER_TYPE_UNKNOWN",
    { ...subject, layer: layer.digest, layerIndex },
    `its media type ${type} is not a tar layer; plain, gzip and zstd layers of OCI and Docker images can be used`,
    { media_type: type },
  );
}

function descriptor(value: unknown, subject: Subject): Descriptor {
  const { mediaType = "", digest, size } = descriptorFields(value, subject);
  const parsed = typeof digest === "string" ? parseDigest(digest) : undefined;
  const isWhole = typeof mediaType === "string" && Number.isSafeInteger(size) && Number(size) >= 0;
  if (!isWhole || parsed === undefined) {
    const problem = "its manifest has a descriptor without a media type, a size or a sha256 digest";
    throw notAnImage(subject, `${problem}; other digests are not supported`);
  }
  return { mediaType, digest: parsed, size: Number(size) };
}

function descriptorFields(value: unknown, subject: Subject): Record<string, unknown> {
  const fields = record(value);
  if (hasLookAlike(fields, DESCRIPTOR_FIELDS)) throw ambiguous(subject);
  return fields;
}

function shown(mediaType: string): string {
  return SHOWN_TYPE.test(mediaType) ? mediaType : "document of unknown type";
}

function array(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
