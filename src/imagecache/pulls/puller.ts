import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf } from "../../lib/oci/digest.ts";
import { about, imageFault, type Subject } from "../../lib/oci/faults.ts";
import { formatReference, type ImageReference } from "../../lib/oci/reference.ts";
import type { RegistryClient, ResolvedImage } from "../../lib/oci/registry.ts";
import { OUTCOMES, type OutcomeLabel, outcomeOf, secondsHistogram } from "../../lib/otel/metrics.ts";
import { attribute, withSpan } from "../../lib/otel/tracing.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import type { DiskBudget } from "../disk/disk-budget.ts";
import { asDiskFull, fileInfo, hashFile, syncFile } from "../disk/files.ts";
import type { Image } from "../disk/image.ts";
import type { ImageStore } from "../disk/image-store.ts";
import type { Limits } from "../flatten/limits.ts";
import { layerFile } from "../squashfs/layer-file.ts";
import type { Blobs } from "./blobs.ts";
import { flatten, squash } from "./build.ts";
import { type Progress, ProgressMeter } from "./progress.ts";
import { pullSemaphore } from "./pull-semaphore.ts";

export interface PullerParts {
  readonly dir: CacheDir;
  readonly client: RegistryClient;
  readonly blobs: Blobs;
  readonly budget: DiskBudget;
  readonly images: ImageStore;
  readonly limits: Limits;
  readonly clock: Clock;
}

export interface Pulled {
  readonly image: Image;
  readonly downloadedBytes: number;
}

interface Pull {
  readonly resolved: ResolvedImage;
  /** As requested; of the manifest, or of an index. */
  readonly digest: Digest;
  readonly compressedBytes: number;
  readonly meter: ProgressMeter;
  readonly signal: AbortSignal;
}

/** Pulls at a time. While one is flattened, others download. */
const MAX_PULLS = 4;
const MAX_WAITING = 64;

const pullSeconds = secondsHistogram(
  "windhover_image_pull_duration_seconds",
  "Duration of pulls, from asked for to ready; what several callers wait for is one pull.",
  ["outcome"],
  [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
);
for (const outcome of OUTCOMES) pullSeconds.zero({ outcome });

/** Makes images: resolves, downloads, flattens, and writes the squashfs. */
export class Puller {
  readonly #parts: PullerParts;
  readonly #pulls = pullSemaphore(MAX_PULLS, MAX_WAITING);
  /** One at a time, because flattening uses two processors and memory for its index. */
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
    const since = performance.now();
    let outcome: OutcomeLabel = "ok";
    using meter = new ProgressMeter(report);
    meter.begin("queued");
    const reference = formatReference(ref);
    const attributes = { [attribute.imageReference]: reference, [attribute.imageDigest]: digest };
    try {
      return await this.#pulls.run(
        () => withSpan("imagecache.pull", attributes, () => this.#pull(ref, digest, meter, signal)),
        signal,
      );
    } catch (err) {
      const fault = about(asDiskFull(err, this.#parts.dir.root), { reference, digest });
      outcome = signal.aborted ? "cancelled" : outcomeOf(fault);
      throw fault;
    } finally {
      pullSeconds.observe({ outcome }, (performance.now() - since) / 1_000);
    }
  }

  async #pull(
    ref: ImageReference,
    digest: Digest,
    meter: ProgressMeter,
    signal: AbortSignal,
  ): Promise<Pulled> {
    const { blobs, budget, client } = this.#parts;
    meter.begin("resolving");
    const byDigest = { ...ref, digest };
    const resolved = await withSpan("imagecache.resolve", {}, () => client.resolve(byDigest, signal));
    const { layers } = resolved.manifest;
    const compressedBytes = layers.reduce((sum, layer) => sum + layer.size, 0);
    const pull = { resolved, digest, compressedBytes, meter, signal };
    this.#checkSize(pull);
    using _ = budget.layersInUse.use(layers.map((layer) => layer.digest));
    // The squashfs is about as large as the layers: lz4 compresses less, and hidden files are left out.
    await budget.makeRoom((await blobs.missingBytes(layers)) + compressedBytes);
    const downloadedBytes = await this.#download(byDigest, pull);
    const image = await this.#builds.run(() => this.#build(pull), signal);
    await budget.makeRoom(0);
    return { image, downloadedBytes };
  }

  #checkSize({ resolved, digest, compressedBytes }: Pull): void {
    const { limits, budget } = this.#parts;
    // The squashfs takes about as much again.
    const limit = Math.min(limits.maxBytes, Math.floor(budget.budgetBytes / 2));
    if (compressedBytes <= limit) return;
    const problem = `its layers take ${compressedBytes} bytes, and this host accepts ${limit}; make it smaller, or raise IMAGECACHE_BUDGET_MB (of which layers may take half) or IMAGECACHE_MAX_IMAGE_MB`;
    const facts = { limit: String(limit), value: String(compressedBytes) };
    throw imageFault("IMAGE_TOO_LARGE", { reference: resolved.reference, digest }, problem, facts);
  }

  async #download(ref: ImageReference, pull: Pull): Promise<number> {
    const { meter, resolved } = pull;
    const { layers } = resolved.manifest;
    meter.begin("downloading", pull.compressedBytes, layers.length);
    const failed = new AbortController();
    const signal = AbortSignal.any([pull.signal, failed.signal]);
    const fetches = layers.map(async (blob, layerIndex) => {
      const request = { ref, blob, subject: subjectOf(pull, layerIndex) };
      try {
        const received = await this.#parts.blobs.fetch(request, (bytes) => meter.advance(bytes), signal);
        meter.advance(0, 1);
        return received;
      } catch (err) {
        // The first failure is thrown below; the other downloads only stop.
        failed.abort(err);
        throw err;
      }
    });
    // All downloads must have closed their files before the pull ends.
    await Promise.allSettled(fetches);
    pull.signal.throwIfAborted();
    failed.signal.throwIfAborted();
    return (await Promise.all(fetches)).reduce((sum, bytes) => sum + bytes, 0);
  }

  async #build(pull: Pull): Promise<Image> {
    const { dir, images, limits, clock } = this.#parts;
    const { digest, compressedBytes, meter, signal } = pull;
    const { reference, config, manifest } = pull.resolved;
    const layers = manifest.layers.map((layer, layerIndex) => {
      const diffId = config.diffIds[layerIndex] ?? layer.digest;
      const file = { path: dir.blob(layer.digest), size: layer.size, diffId };
      return layerFile({ ...file, subject: subjectOf(pull, layerIndex) }, signal);
    });
    const { plan, bytes: uncompressedBytes } = await flatten(layers, limits, meter);
    const temporary = join(dir.tmp, `${hexOf(digest)}.${++this.#sequence}.squashfs`);
    try {
      await squash(layers, plan, uncompressedBytes, temporary, dir.root, meter);
      await chmod(temporary, 0o644);
      const rootfsBytes = (await fileInfo(temporary))?.length ?? 0;
      const [rootfsDigest] = await Promise.all([hashFile(temporary, signal), syncFile(temporary)]);
      const sizes = {
        ...{ compressedBytes, uncompressedBytes, rootfsBytes },
        ...{ entries: plan.entries, layers: layers.length },
      };
      const image = { digest, reference, config: config.run, sizes, createdMs: clock.now() };
      return await images.put(image, rootfsDigest, temporary);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

function subjectOf({ resolved, digest }: Pull, layerIndex: number): Subject {
  const layer = resolved.manifest.layers[layerIndex]?.digest;
  return { reference: resolved.reference, digest, ...(layer === undefined ? {} : { layer }), layerIndex };
}
