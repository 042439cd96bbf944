import { unlink, utimes } from "node:fs/promises";
import type { Digest } from "../../lib/oci/digest.ts";
import type { Subject } from "../../lib/oci/faults.ts";
import type { Descriptor } from "../../lib/oci/manifest.ts";
import type { ImageReference } from "../../lib/oci/reference.ts";
import type { RegistryClient } from "../../lib/oci/registry.ts";
import type { RetryPolicy } from "../../lib/oci/retry.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";
import type { CacheDir } from "../disk/cache-dir.ts";
import { fileInfo, hashFile } from "../disk/files.ts";
import { span } from "../spans.ts";
import { download } from "./download.ts";
import { Flights } from "./flights.ts";
import { pullSemaphore } from "./pull-semaphore.ts";

/** Registries throttle, and three connections fill any line. */
const MAX_DOWNLOADS = 3;
/** All layers of all pulls that may run at a time wait here; the pulls themselves are limited elsewhere. */
const MAX_WAITING = 4096;

/** The layers in the cache, by digest: shared by all images that have them. */
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

  /** Bytes that are still to be downloaded of these blobs. */
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
   * Makes a blob local: from the cache when what is there has the right digest, otherwise from the registry.
   *
   * @param onBytes told of bytes as they become available
   * @returns bytes that came over the network for this caller; 0 when they were here, or came for another
   * @throws Fault as `download` does
   */
  async fetch(
    ref: ImageReference,
    blob: Descriptor,
    subject: Subject,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<number> {
    let received = 0;
    let reported = 0;
    const count = (bytes: number) => {
      reported += bytes;
      onBytes(bytes);
    };
    await this.#flights.wait(blob.digest, signal, (_report, stop) =>
      this.#downloads.run(async () => {
        received = await this.#get(ref, blob, subject, count, stop);
        return received;
      }, stop),
    );
    if (blob.size > reported) onBytes(blob.size - reported);
    return received;
  }

  /** Breaks downloads off; what came stays. */
  async close(): Promise<void> {
    await this.#flights.close();
  }

  #get(
    ref: ImageReference,
    blob: Descriptor,
    subject: Subject,
    onBytes: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const { digest, size } = blob;
    return withSpan(
      "imagecache.download",
      { [span.layer]: digest, [span.compressedBytes]: size },
      async (active) => {
        const isHere = await this.#isHere(digest, size, signal);
        active.setAttribute(span.blobCached, isHere);
        const path = this.#dir.blob(digest);
        const order = { ref, blob, partial: this.#dir.partial(digest), path, subject };
        const received = isHere ? 0 : await download(this.#client, order, onBytes, signal, this.#retry);
        active.setAttribute(span.receivedBytes, received);
        const now = new Date();
        await utimes(path, now, now);
        return received;
      },
    );
  }

  /** Reading it all takes a moment, and brings it into memory, where it is wanted next. */
  async #isHere(digest: Digest, size: number, signal: AbortSignal): Promise<boolean> {
    const path = this.#dir.blob(digest);
    const info = await fileInfo(path);
    if (info === undefined) return false;
    if (info.length === size && (await hashFile(path, signal)) === digest) return true;
    logger.warn("a cached layer is damaged and is fetched again", { layer: digest });
    await unlink(path);
    return false;
  }
}
