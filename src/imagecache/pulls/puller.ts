import type { Digest } from "../../lib/oci/digest.ts";
import { about, imageFault, type Subject } from "../../lib/oci/faults.ts";
import type { ImageSource } from "../../lib/oci/image-source.ts";
import { formatReference } from "../../lib/oci/reference.ts";
import type { RegistryClient, ResolvedImage } from "../../lib/oci/registry.ts";
import { unreachable } from "../../lib/oci/request-faults.ts";
import { OUTCOMES, type OutcomeLabel, outcomeOf, secondsHistogram } from "../../lib/otel/metrics.ts";
import { attribute, nowUs, recordWait, withSpan } from "../../lib/otel/tracing.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { TimeLimit } from "../../lib/runtime/wait.ts";
import type { Builder } from "../build/builder.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import type { DiskBudget } from "../disk/disk-budget.ts";
import { asDiskFull } from "../disk/files.ts";
import type { Image } from "../disk/image.ts";
import type { ImageStore } from "../disk/image-store.ts";
import type { Limits } from "../flatten/limits.ts";
import type { Blobs } from "./blobs.ts";
import type { LayerRequest } from "./download.ts";
import { type PlaceFor, Places } from "./places.ts";
import { type Progress, ProgressMeter } from "./progress.ts";
import { keyOf, Proofs } from "./proofs.ts";
import { LayerShares, PullRoom } from "./pull-room.ts";

export interface PullerParts {
  readonly dir: CacheDir;
  readonly client: RegistryClient;
  readonly blobs: Blobs;
  readonly budget: DiskBudget;
  readonly builder: Builder;
  readonly images: ImageStore;
  readonly limits: Limits;
  readonly clock: Clock;
  /** Most that the layers of one organisation's pulls may take together. */
  readonly orgBudgetBytes: number;
}

export interface Pulled {
  readonly image: Image;
  readonly downloadedBytes: number;
}

interface Pull {
  readonly from: PullSource;
  readonly resolved: ResolvedImage;
  /** As requested; of the manifest, or of an index. */
  readonly digest: Digest;
  readonly compressedBytes: number;
  readonly room: PullRoom;
  readonly meter: ProgressMeter;
  readonly signal: AbortSignal;
}

/** Where to pull from, by digest. */
export interface PullSource extends ImageSource {
  readonly digest: Digest;
}

/** While one pull is flattened, others download. */
const PULLS = { total: 16, perOrg: 4, perRegistry: 8, maxWaiting: 256, maxOfOrg: 64 };
/** A build uses two processors and, at its limits, gigabytes of memory. */
const MAX_BUILDS = 2;
/** Manifest and configuration take a second. */
const RESOLVE_TIMEOUT_MS = 60_000;

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
  readonly #pulls = new Places(PULLS);
  readonly #builds = new Places({ ...PULLS, total: MAX_BUILDS, perOrg: 1 });
  readonly #shares: LayerShares;
  /** Whose repositories have sent, or proven to have, all layers of which image. */
  readonly #fetched: Proofs;

  constructor(parts: PullerParts) {
    this.#parts = parts;
    this.#fetched = new Proofs(parts.clock);
    this.#shares = new LayerShares(parts.orgBudgetBytes);
  }

  /** @throws Fault as the proto documents for EnsureImage */
  async pull(from: PullSource, report: (progress: Progress) => void, signal: AbortSignal): Promise<Pulled> {
    const since = performance.now();
    let outcome: OutcomeLabel = "ok";
    using meter = new ProgressMeter(report);
    meter.begin("queued");
    const { digest } = from;
    const reference = formatReference(from);
    const attributes = { [attribute.imageReference]: reference, [attribute.imageDigest]: digest };
    const enteredUs = nowUs();
    const work = () => {
      recordWait("imagecache.queue", enteredUs);
      return withSpan("imagecache.pull", attributes, () => this.#pull(from, meter, signal));
    };
    try {
      return await this.#pulls.run(work, signal, placeOf(from));
    } catch (err) {
      const fault = about(asDiskFull(err, this.#parts.dir.root), { reference, digest });
      outcome = signal.aborted ? "cancelled" : outcomeOf(fault);
      throw fault;
    } finally {
      pullSeconds.observe({ outcome }, (performance.now() - since) / 1_000);
    }
  }

  async #pull(from: PullSource, meter: ProgressMeter, signal: AbortSignal): Promise<Pulled> {
    const { budget, builder } = this.#parts;
    const { digest } = from;
    // What is wrong with it is told to those who have it.
    if (this.#fetched.has(keyOf(from, digest))) builder.refuseFailed(formatReference(from), digest);
    meter.begin("resolving");
    const resolved = await withSpan("imagecache.resolve", {}, () => this.#resolve(from, signal));
    const { layers } = resolved.manifest;
    const compressedBytes = layers.reduce((sum, layer) => sum + layer.size, 0);
    const room = new PullRoom(budget, compressedBytes);
    const pull = { from, resolved, digest, compressedBytes, room, meter, signal };
    const cached = await this.#cached(digest);
    if (cached) {
      await this.#prove(pull, cached);
      return { image: cached, downloadedBytes: 0 };
    }
    this.#checkSize(pull);
    return await this.#shares.run(() => this.#make(pull), signal, from.access.org, compressedBytes);
  }

  /** Downloads the layers of an image and builds it. */
  async #make(pull: Pull): Promise<Pulled> {
    const { blobs, budget, builder } = this.#parts;
    const { from, resolved, compressedBytes, meter, signal } = pull;
    const { layers } = resolved.manifest;
    using _ = budget.layersInUse.use(layers.map((layer) => layer.digest));
    // The squashfs is about as large as the layers: lz4 compresses less, and hidden files are left out.
    await budget.checkRoom((await blobs.missingBytes(layers)) + compressedBytes);
    const downloadedBytes = await this.#download(pull);
    this.#fetched.add(keyOf(from, pull.digest));
    const samples = await blobs.samplesOf(layers);
    const enteredUs = nowUs();
    const build = () => {
      recordWait("imagecache.queue", enteredUs);
      return builder.build({ ...pull, samples }, meter, signal);
    };
    const image = await this.#builds.run(build, signal, placeOf(from));
    await budget.makeRoom(0);
    return { image, downloadedBytes };
  }

  async #resolve(from: PullSource, signal: AbortSignal): Promise<ResolvedImage> {
    const late = () => unreachable(from.registry, { reference: formatReference(from) }, undefined);
    using limit = new TimeLimit(RESOLVE_TIMEOUT_MS, signal, late);
    return await this.#parts.client.resolve(from, limit.signal);
  }

  /** Returns an image that is ready, perhaps since another organisation has pulled it. */
  async #cached(digest: Digest): Promise<Image | undefined> {
    const { images } = this.#parts;
    return (await images.isIntact(digest)) ? images.get(digest) : undefined;
  }

  /** Makes the repository prove that it has every layer of an image, whose manifest and configuration it has sent. */
  async #prove(pull: Pull, { samples = {} }: Image): Promise<void> {
    await this.#forEachLayer(pull, (request, signal) =>
      this.#parts.blobs.prove(request, samples[request.blob.digest] ?? [], signal),
    );
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

  async #download(pull: Pull): Promise<number> {
    const { meter, resolved } = pull;
    meter.begin("downloading", pull.compressedBytes, resolved.manifest.layers.length);
    const received = await this.#forEachLayer(pull, async (request, signal) => {
      const bytes = await this.#parts.blobs.fetch(request, (count) => meter.advance(count), signal);
      meter.advance(0, 1);
      return bytes;
    });
    return received.reduce((sum, bytes) => sum + bytes, 0);
  }

  async #forEachLayer<T>(
    pull: Pull,
    work: (request: LayerRequest, signal: AbortSignal) => Promise<T>,
  ): Promise<T[]> {
    const failed = new AbortController();
    const signal = AbortSignal.any([pull.signal, failed.signal]);
    const works = pull.resolved.manifest.layers.map(async (blob, layerIndex) => {
      try {
        const takeRoom = (bytes: number) => pull.room.take(bytes);
        return await work({ from: pull.from, blob, subject: subjectOf(pull, layerIndex), takeRoom }, signal);
      } catch (err) {
        // The first failure is thrown below; the others only stop.
        failed.abort(err);
        throw err;
      }
    });
    // All must have closed their files before the pull ends.
    await Promise.allSettled(works);
    pull.signal.throwIfAborted();
    failed.signal.throwIfAborted();
    return await Promise.all(works);
  }
}

function placeOf(from: PullSource): PlaceFor {
  return { org: from.access.org, registry: from.registry };
}

function subjectOf({ resolved, digest }: Pull, layerIndex: number): Subject {
  const layer = resolved.manifest.layers[layerIndex]?.digest;
  return { reference: resolved.reference, digest, ...(layer === undefined ? {} : { layer }), layerIndex };
}
