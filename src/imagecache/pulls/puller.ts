import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf } from "../../lib/oci/digest.ts";
import { about, imageFault, type Subject } from "../../lib/oci/faults.ts";
import { formatReference, type ImageReference } from "../../lib/oci/reference.ts";
import type { RegistryClient, ResolvedImage } from "../../lib/oci/registry.ts";
import { attribute, withSpan } from "../../lib/otel/tracing.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import { asDiskFull, fileInfo, hashFile, syncFile } from "../disk/files.ts";
import type { Progress } from "../disk/image.ts";
import type { ImageFiles } from "../disk/image-files.ts";
import type { Room } from "../disk/room.ts";
import type { Layer } from "../flatten/layer.ts";
import type { Limits } from "../flatten/limits.ts";
import type { Pulled } from "../images.ts";
import { flatten, squash } from "../squashfs/builder.ts";
import { layerFile } from "../squashfs/layer-file.ts";
import type { Blobs } from "./blobs.ts";
import { ProgressMeter } from "./progress.ts";
import { pullSemaphore } from "./pull-semaphore.ts";

/** What a {@link Puller} works with. */
export interface PullerParts {
  readonly dir: CacheDir;
  readonly client: RegistryClient;
  readonly blobs: Blobs;
  readonly room: Room;
  readonly images: ImageFiles;
  readonly limits: Limits;
  readonly clock: Clock;
}

/** Pulls at a time: while one is being flattened, others download. */
const MAX_PULLS = 4;
/** Far beyond what a host creates at once. */
const MAX_WAITING = 64;

/** Makes images: resolves, downloads, flattens, and writes the squashfs. */
export class Puller {
  readonly #parts: PullerParts;
  readonly #pulls = pullSemaphore(MAX_PULLS, MAX_WAITING);
  /** One at a time: flattening keeps two processors busy, and an index in memory. */
  readonly #builds = pullSemaphore(1, MAX_WAITING);
  #sequence = 0;

  constructor(parts: PullerParts) {
    this.#parts = parts;
  }

  /** @throws Fault as the proto documents for EnsureImage */
  async pull(
    ref: ImageReference,
    digest: Digest,
    report: (progress: Progress) => void,
    signal: AbortSignal,
  ): Promise<Pulled> {
    const meter = new ProgressMeter(report);
    meter.begin("queued");
    const wanted = { ...ref, digest };
    const facts = { [attribute.imageReference]: formatReference(ref), [attribute.imageDigest]: digest };
    try {
      return await this.#pulls.run(
        () => withSpan("imagecache.pull", facts, () => this.#pull(wanted, digest, meter, signal)),
        signal,
      );
    } catch (err) {
      throw about(asDiskFull(err, this.#parts.dir.root), { reference: formatReference(ref), digest });
    }
  }

  async #pull(
    ref: ImageReference,
    digest: Digest,
    meter: ProgressMeter,
    signal: AbortSignal,
  ): Promise<Pulled> {
    const { blobs, room, client } = this.#parts;
    meter.begin("resolving");
    const resolved = await withSpan("imagecache.resolve", {}, () => client.resolve(ref, signal));
    const { layers } = resolved.manifest;
    const compressed = layers.reduce((sum, layer) => sum + layer.size, 0);
    this.#checkSize(compressed, { reference: resolved.reference, digest });
    return room.holding(
      layers.map((layer) => layer.digest),
      async () => {
        // The squashfs is about as large as the layers: lz4 packs less tightly than gzip, and hidden files are left out.
        await room.make((await blobs.missingBytes(layers)) + compressed);
        const downloadedBytes = await this.#download(ref, resolved, digest, meter, compressed, signal);
        const image = await this.#builds.run(
          () => this.#build(resolved, digest, compressed, meter, signal),
          signal,
        );
        await room.make(0);
        return { image, downloadedBytes };
      },
    );
  }

  #checkSize(compressed: number, subject: Subject): void {
    const { limits, room } = this.#parts;
    // The root file system takes about as much again.
    const limit = Math.min(limits.maxBytes, Math.floor(room.budgetBytes / 2));
    if (compressed <= limit) return;
    const problem = `its layers take ${compressed} bytes, and this host accepts ${limit}; make it smaller, or raise IMAGECACHE_BUDGET_MB (of which layers may take half) or IMAGECACHE_MAX_IMAGE_MB`;
    throw imageFault("IMAGE_TOO_LARGE", subject, problem, {
      limit: String(limit),
      value: String(compressed),
    });
  }

  async #download(
    ref: ImageReference,
    resolved: ResolvedImage,
    digest: Digest,
    meter: ProgressMeter,
    total: number,
    parent: AbortSignal,
  ): Promise<number> {
    const { layers } = resolved.manifest;
    meter.begin("downloading", total, layers.length);
    const failed = new AbortController();
    const signal = AbortSignal.any([parent, failed.signal]);
    const fetches = layers.map(async (layer, layerIndex) => {
      const subject = { reference: resolved.reference, digest, layer: layer.digest, layerIndex };
      try {
        const received = await this.#parts.blobs.fetch(
          ref,
          layer,
          subject,
          (bytes) => meter.advance(bytes),
          signal,
        );
        meter.advance(0, 1);
        return received;
      } catch (err) {
        // The first failure is the one to tell; the others only stop.
        failed.abort(err);
        throw err;
      }
    });
    // All must have let go of their files before the pull ends, also when it fails.
    await Promise.allSettled(fetches);
    parent.throwIfAborted();
    failed.signal.throwIfAborted();
    return (await Promise.all(fetches)).reduce((sum, bytes) => sum + bytes, 0);
  }

  async #build(
    resolved: ResolvedImage,
    digest: Digest,
    compressed: number,
    meter: ProgressMeter,
    signal: AbortSignal,
  ) {
    const { dir, images, limits, clock } = this.#parts;
    const { reference, config, manifest } = resolved;
    const layers = manifest.layers.map((layer, layerIndex): Layer => {
      const subject = { reference, digest, layer: layer.digest, layerIndex };
      const diffId = config.diffIds[layerIndex] ?? layer.digest;
      return layerFile({ path: dir.blob(layer.digest), size: layer.size, diffId, subject }, signal);
    });
    const { plan, bytes: uncompressedBytes } = await flatten(layers, limits, meter);
    const temporary = join(dir.tmp, `${hexOf(digest)}.${++this.#sequence}.squashfs`);
    try {
      await squash(layers, plan, uncompressedBytes, temporary, dir.root, meter);
      await chmod(temporary, 0o644);
      const rootfsBytes = (await fileInfo(temporary))?.length ?? 0;
      const [rootfsDigest] = await Promise.all([hashFile(temporary, signal), syncFile(temporary)]);
      const { entries } = plan;
      const sizes = {
        compressedBytes: compressed,
        uncompressedBytes,
        rootfsBytes,
        entries,
        layers: layers.length,
      };
      const image = { digest, reference, config: config.run, sizes, createdMs: clock.now() };
      return await images.put(image, rootfsDigest, temporary);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}
