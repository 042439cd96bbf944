import { rm, utimes } from "node:fs/promises";
import type { Digest } from "../../lib/oci/digest.ts";
import { imageFault } from "../../lib/oci/faults.ts";
import type { Descriptor } from "../../lib/oci/image/manifest.ts";
import type { RegistryClient } from "../../lib/oci/registry.ts";
import type { RetryPolicy } from "../../lib/oci/retry.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import { fileInfo, hashFile } from "../disk/files.ts";
import { isSample, type Sample, takeSamples } from "../disk/sample.ts";
import { download, type LayerRequest } from "./download.ts";
import { Flights } from "./flights.ts";
import { Places } from "./places.ts";
import { keyOf, type Proofs } from "./proofs.ts";
import { type MinRate, RateGuard } from "./rate-guard.ts";

/** How much is downloaded at a time, and how fast at least. */
export interface DownloadLimits extends MinRate {
  readonly places: number;
}

/** Registries throttle, and three connections saturate a line. */
const PLACES_OF_ORG = 3;
/** More than the layers of all pulls that may run at a time, and of those of one organisation. */
const MAX_WAITING = 8192;
const MAX_OF_ORG = 2560;
/** Kept with an image, for when its layers have been evicted. */
const SAMPLES = 8;

export interface BlobsParts {
  readonly dir: CacheDir;
  readonly client: RegistryClient;
  readonly proofs: Proofs;
  readonly retry: RetryPolicy;
  readonly limits: DownloadLimits;
}

/** The layers on disk, shared by all images. One is used for a repository only after this has proven that it has it. */
export class Blobs {
  readonly #parts: BlobsParts;
  readonly #places: Places;
  readonly #flights = new Flights<never, number>();

  constructor(parts: BlobsParts) {
    this.#parts = parts;
    const total = parts.limits.places;
    const shares = { perOrg: Math.min(PLACES_OF_ORG, total - 1), perRegistry: Math.ceil(total / 2) };
    this.#places = new Places({ total, ...shares, maxWaiting: MAX_WAITING, maxOfOrg: MAX_OF_ORG });
  }

  async missingBytes(blobs: readonly Descriptor[]): Promise<number> {
    const unique = new Map(blobs.map((blob) => [blob.digest, blob.size]));
    let missing = 0;
    for (const [digest, size] of unique) missing += (await fileInfo(this.#parts.dir.blob(digest))) ? 0 : size;
    return missing;
  }

  /**
   * Downloads a layer unless it is on disk with the right digest and its repository proves that it has it.
   *
   * @param onBytes called with bytes as they become available
   * @returns bytes downloaded for this caller; 0 when the layer was on disk, or came for another caller
   * @throws Fault as `download` does
   */
  async fetch(request: LayerRequest, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number> {
    let reported = 0;
    const count = (bytes: number) => {
      reported += bytes;
      onBytes(bytes);
    };
    const received = await this.#once(request, signal, (stop, guard) =>
      this.#get(request, count, stop, guard),
    );
    if (request.blob.size > reported) onBytes(request.blob.size - reported);
    return received;
  }

  /** Makes a repository prove that it has a layer of a cached image. Downloads the layer when nothing is there to compare. */
  async prove(request: LayerRequest, samples: readonly Sample[], signal: AbortSignal): Promise<void> {
    const { proofs, dir } = this.#parts;
    const { from, blob } = request;
    const sample = samples[Math.floor(Math.random() * samples.length)];
    if (proofs.has(keyOf(from, blob.digest))) return;
    if (sample === undefined || (await fileInfo(dir.blob(blob.digest)))) {
      await this.fetch(request, () => undefined, signal);
      return;
    }
    await this.#once(request, signal, async (stop, guard) => {
      await this.#compare(request, sample, stop, guard);
      return 0;
    });
  }

  /** Takes samples of layers, which must be on disk. */
  async samplesOf(blobs: readonly Descriptor[]): Promise<Record<Digest, readonly Sample[]>> {
    const entries = blobs.map(
      async ({ digest, size }) =>
        [digest, await takeSamples(this.#parts.dir.blob(digest), size, SAMPLES)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }

  /** Aborts downloads. What has come stays. */
  async close(): Promise<void> {
    await this.#flights.close();
  }

  /** Does work for all who need the layer from the same repository with the same credentials, in a place. */
  #once(
    { from, blob, subject }: LayerRequest,
    signal: AbortSignal,
    work: (stop: AbortSignal, guard: RateGuard) => Promise<number>,
  ): Promise<number> {
    const { limits, proofs } = this.#parts;
    const key = keyOf(from, blob.digest);
    const place = { org: from.access.org, registry: from.registry };
    let received = 0;
    const flight = this.#flights.wait(key, signal, (_report, stop) =>
      this.#places.run(
        async () => {
          using guard = new RateGuard(limits, from.registry, subject, stop);
          received = await work(guard.signal, guard);
          proofs.add(key);
          return received;
        },
        stop,
        place,
      ),
    );
    return flight.then(() => received);
  }

  #get(
    request: LayerRequest,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
    guard: RateGuard,
  ): Promise<number> {
    const { from, blob } = request;
    const { digest, size } = blob;
    const { dir, client, proofs, retry } = this.#parts;
    const attributes = { "windhover.image.layer": digest, "windhover.bytes.compressed": size };
    return withSpan("imagecache.download", attributes, async (span) => {
      const isHere = await this.#isHere(digest, size, signal);
      span.setAttribute("windhover.image.layer_cached", isHere);
      const path = dir.blob(digest);
      const key = keyOf(from, digest);
      const order = { ...request, partial: dir.partial(digest, key), path };
      let received = 0;
      if (!isHere) {
        const onReceived = (bytes: number) => guard.count(bytes);
        const listener = { onBytes, onReceived, onRequest: () => guard.start() };
        received = await download(client, order, listener, signal, retry);
      } else if (!proofs.has(key)) {
        const [sample] = await takeSamples(path, size, 1);
        if (sample) await this.#compare(request, sample, signal, guard);
      }
      span.setAttribute("windhover.bytes.received", received);
      const now = new Date();
      await utimes(path, now, now);
      return received;
    });
  }

  /** @throws Fault `IMAGE_DIGEST_MISMATCH` when the repository sends something else */
  async #compare(
    { from, blob, subject }: LayerRequest,
    sample: Sample,
    signal: AbortSignal,
    guard: RateGuard,
  ) {
    if (sample.length === 0) return;
    guard.start();
    const { client } = this.#parts;
    const bytes = await client.readRange(from, blob, sample, subject, signal, (count) => guard.count(count));
    if (isSample(sample, bytes)) return;
    const problem = `${from.registry} does not have it: what it sends of it has another content; push the image again`;
    const facts = { expected: blob.digest };
    throw imageFault("IMAGE_DIGEST_MISMATCH", subject, problem, facts);
  }

  /** Whether a layer is on disk and intact. Reading it also brings it into the page cache, for later. */
  async #isHere(digest: Digest, size: number, signal: AbortSignal): Promise<boolean> {
    const path = this.#parts.dir.blob(digest);
    const info = await fileInfo(path);
    // The size comes from a manifest, which anybody may have written: another one is no reason to remove what others use.
    if (info?.length !== size) return false;
    if ((await hashFile(path, signal)) === digest) return true;
    logger.warn("a cached layer is damaged and is fetched again", { layer: digest });
    await rm(path, { force: true });
    return false;
  }
}
