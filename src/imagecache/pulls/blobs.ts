import { rm, utimes } from "node:fs/promises";
import type { Digest } from "../../lib/oci/digest.ts";
import type { Descriptor } from "../../lib/oci/manifest.ts";
import type { RegistryClient } from "../../lib/oci/registry.ts";
import type { RetryPolicy } from "../../lib/oci/retry.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import { fileInfo, hashFile } from "../disk/files.ts";
import { download, type LayerRequest } from "./download.ts";
import { Flights } from "./flights.ts";
import { pullSemaphore } from "./pull-semaphore.ts";

/** Registries throttle, and three connections saturate a line. */
const MAX_DOWNLOADS = 3;
/** More than the layers of all pulls that may run at a time. */
const MAX_WAITING = 4096;

/** The layers on disk, shared by all images. */
export class Blobs {
  readonly #dir: CacheDir;
  readonly #client: RegistryClient;
  readonly #retry: RetryPolicy;
  readonly #downloads = pullSemaphore(MAX_DOWNLOADS, MAX_WAITING);
  readonly #flights = new Flights<never, number>();

  constructor(dir: CacheDir, client: RegistryClient, retry: RetryPolicy) {
    this.#dir = dir;
    this.#client = client;
    this.#retry = retry;
  }

  async missingBytes(blobs: readonly Descriptor[]): Promise<number> {
    const unique = new Map(blobs.map((blob) => [blob.digest, blob.size]));
    let missing = 0;
    for (const [digest, size] of unique) {
      const whole = await fileInfo(this.#dir.blob(digest));
      const partial = whole ? undefined : await fileInfo(this.#dir.partial(digest));
      missing += whole ? 0 : Math.max(0, size - (partial?.length ?? 0));
    }
    return missing;
  }

  /**
   * Downloads a layer unless it is on disk with the right digest.
   *
   * @param onBytes called with bytes as they become available
   * @returns bytes downloaded for this caller; 0 when the layer was on disk, or came for another caller
   * @throws Fault as `download` does
   */
  async fetch(request: LayerRequest, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number> {
    const { digest, size } = request.blob;
    let received = 0;
    let reported = 0;
    const count = (bytes: number) => {
      reported += bytes;
      onBytes(bytes);
    };
    await this.#flights.wait(digest, signal, (_report, stop) =>
      this.#downloads.run(async () => {
        received = await this.#get(request, count, stop);
        return received;
      }, stop),
    );
    if (size > reported) onBytes(size - reported);
    return received;
  }

  /** Aborts downloads. What has come stays. */
  async close(): Promise<void> {
    await this.#flights.close();
  }

  #get(request: LayerRequest, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<number> {
    const { digest, size } = request.blob;
    const attributes = { "windhover.image.layer": digest, "windhover.bytes.compressed": size };
    return withSpan("imagecache.download", attributes, async (span) => {
      const isHere = await this.#isHere(digest, size, signal);
      span.setAttribute("windhover.image.layer_cached", isHere);
      const path = this.#dir.blob(digest);
      const order = { ...request, partial: this.#dir.partial(digest), path };
      const received = isHere ? 0 : await download(this.#client, order, onBytes, signal, this.#retry);
      span.setAttribute("windhover.bytes.received", received);
      const now = new Date();
      await utimes(path, now, now);
      return received;
    });
  }

  /** Whether a layer is on disk and intact. Reading it also brings it into the page cache, for later. */
  async #isHere(digest: Digest, size: number, signal: AbortSignal): Promise<boolean> {
    const path = this.#dir.blob(digest);
    const info = await fileInfo(path);
    if (info === undefined) return false;
    if (info.length === size && (await hashFile(path, signal)) === digest) return true;
    logger.warn("a cached layer is damaged and is fetched again", { layer: digest });
    await rm(path, { force: true });
    return false;
  }
}
