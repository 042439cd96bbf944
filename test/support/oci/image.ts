import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type TarEntry, writeTar } from "./tar.ts";

/** How a layer travels: as a function packs it, under the media type of gzip, which readers ignore. */
export type Compression = "gzip" | "zstd" | "none" | ((tar: Buffer) => Buffer);

/** A layer: its entries, or a finished tar archive, in memory or in a file. */
export type LayerSpec = readonly TarEntry[] | Buffer | { readonly tarFile: string };

/** What an image says about running it; the names are those of the OCI image configuration. */
export interface RunConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** What to build. */
export interface ImageSpec {
  /** Lowest first. */
  readonly layers: readonly LayerSpec[];
  readonly config?: RunConfig;
  /** One for all layers, or one each. Default gzip. */
  readonly compression?: Compression | readonly Compression[];
  /** Whose media types to write. Default `oci`. */
  readonly mediaTypes?: "oci" | "docker";
  /** Default linux/amd64. */
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  /** Leaves `mediaType` out of the manifest, as umoci 0.4.7 does. */
  readonly omitMediaType?: boolean;
  /** Media types of the layers, instead of the right ones. */
  readonly layerTypes?: readonly string[];
  /** Changes the finished manifest before it is serialised: for images that are wrong on purpose. */
  readonly tamper?: (manifest: Manifest) => void;
}

/** Points at a blob or a manifest. */
export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: object;
}

/** An image manifest, as far as tests touch it. */
export interface Manifest {
  schemaVersion: number;
  mediaType?: string;
  config: Descriptor;
  layers: Descriptor[];
}

/** An image or an index, with everything it refers to: what a registry must hold for it to be pulled. */
export interface BuiltImage {
  /** Digest of `manifest`. */
  readonly digest: string;
  readonly manifest: Buffer;
  readonly mediaType: string;
  /** Every blob by digest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  /** For an index: the images in it. */
  readonly children: readonly BuiltImage[];
  /** Descriptors of the layers, lowest first; none for an index. */
  readonly layers: readonly Descriptor[];
}

const TYPES = {
  oci: {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    index: "application/vnd.oci.image.index.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: {
      gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
      zstd: "application/vnd.oci.image.layer.v1.tar+zstd",
      none: "application/vnd.oci.image.layer.v1.tar",
    },
  },
  docker: {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    index: "application/vnd.docker.distribution.manifest.list.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: {
      gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      zstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
      none: "application/vnd.docker.image.rootfs.diff.tar",
    },
  },
} as const;

/**
 * Builds an image in memory: reproducible, no Docker, no root, and as wrong as `spec` wants it.
 *
 * @example
 * const image = buildImage({ layers: [[{ path: "hello", content: "hi" }]], config: { Cmd: ["/hello"] } });
 * await pushImage("http://127.0.0.1:5000", "samples/hello", "latest", image);
 */
export function buildImage(spec: ImageSpec): BuiltImage {
  const types = TYPES[spec.mediaTypes ?? "oci"];
  const blobs = new Map<string, Buffer>();
  const diffIds: string[] = [];
  const layers = spec.layers.map((layer, index) => {
    const tar = toTar(layer);
    const compression = typeof spec.compression === "object" ? spec.compression[index] : spec.compression;
    diffIds.push(sha256(tar));
    return store(
      blobs,
      compress(tar, compression ?? "gzip"),
      spec.layerTypes?.[index] ?? types.layer[typeof compression === "string" ? compression : "gzip"],
    );
  });
  const config = {
    ...(spec.platform ?? { os: "linux", architecture: "amd64" }),
    config: spec.config ?? {},
    rootfs: { type: "layers", diff_ids: diffIds },
    history: layers.map(() => ({ created_by: "test" })),
  };
  const manifest: Manifest = {
    schemaVersion: 2,
    ...(spec.omitMediaType ? {} : { mediaType: types.manifest }),
    config: store(blobs, Buffer.from(JSON.stringify(config)), types.config),
    layers,
  };
  spec.tamper?.(manifest);
  const body = Buffer.from(JSON.stringify(manifest));
  return { digest: sha256(body), manifest: body, mediaType: types.manifest, blobs, children: [], layers };
}

/** Builds an index (Docker: a manifest list) over images for several platforms. */
export function buildIndex(
  entries: readonly {
    readonly image: BuiltImage;
    readonly os: string;
    readonly architecture: string;
    readonly variant?: string;
  }[],
  mediaTypes: "oci" | "docker" = "oci",
): BuiltImage {
  const manifests = entries.map(({ image, ...platform }) => ({
    mediaType: image.mediaType,
    digest: image.digest,
    size: image.manifest.length,
    platform,
  }));
  const mediaType = TYPES[mediaTypes].index;
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const children = entries.map((e) => e.image);
  return { digest: sha256(body), manifest: body, mediaType, blobs: new Map(), children, layers: [] };
}

/** `sha256:` and the hex digest of `body`. */
export function sha256(body: Buffer): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

function toTar(layer: LayerSpec): Buffer {
  if (Buffer.isBuffer(layer)) return layer;
  return "tarFile" in layer ? readFileSync(layer.tarFile) : writeTar(layer);
}

function compress(tar: Buffer, compression: Compression): Buffer {
  if (typeof compression === "function") return compression(tar);
  if (compression === "gzip") return gzipSync(tar, { level: 6 });
  return compression === "zstd" ? zstdCompressSync(tar) : tar;
}

function store(blobs: Map<string, Buffer>, body: Buffer, mediaType: string): Descriptor {
  const digest = sha256(body);
  blobs.set(digest, body);
  return { mediaType, digest, size: body.length };
}
