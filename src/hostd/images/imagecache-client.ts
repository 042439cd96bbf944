import {
  type EnsureImageResponse,
  ImageCacheServiceClient,
  PullPhase,
  type PullProgress,
} from "../../gen/windhover/imagecache/v1/imagecache.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { call, connect, openStream } from "../../lib/grpc/client.ts";
import type { Images, Pin, PullStep } from "../machines/host.ts";
import type { ImageRef } from "../machines/machine.ts";
import { imageHints } from "./image-hints.ts";

/** A large image over a slow line takes its time; the create above has its own limit. */
const ENSURE_TIMEOUT_MS = 60 * 60_000;
const TIMEOUT_MS = 5_000;
const PAGE = 1_000;

/** The image cache beside this host. */
export class ImageCacheClient implements Images {
  readonly #client: ImageCacheServiceClient;
  /** When the local images were used last, by digest, as of the last look. A hint for bids: create asks the cache itself. */
  #local: ReadonlyMap<string, number> = new Map();
  /** Of the images above, once somebody has asked. */
  #hints: readonly number[] | undefined;

  constructor(address: string, token: TokenSource) {
    this.#client = connect(ImageCacheServiceClient, address, { token });
  }

  async *ensure(ref: ImageRef, owner: string, signal: AbortSignal): AsyncGenerator<PullStep> {
    const request = { reference: referenceOf(ref), digest: ref.digest, owner };
    try {
      const stream = openStream(this.#client, this.#client.ensureImage, request, {
        timeoutMs: ENSURE_TIMEOUT_MS,
        signal,
      });
      for await (const message of stream) {
        const step = toStep(message);
        if (step?.kind === "ready") this.#arrived(ref.digest);
        if (step) yield step;
      }
    } catch (err) {
      throw unavailable(err);
    }
  }

  async pin(pin: Pin): Promise<void> {
    await this.#call(() => call(this.#client, this.#client.pinImage, pin, { timeoutMs: TIMEOUT_MS }));
  }

  async unpin(pin: Pin): Promise<void> {
    await this.#call(() => call(this.#client, this.#client.unpinImage, pin, { timeoutMs: TIMEOUT_MS }));
  }

  async reconcilePins(pins: readonly Pin[]): Promise<void> {
    const request = { pins: [...pins] };
    await this.#call(() =>
      call(this.#client, this.#client.reconcilePins, request, { timeoutMs: TIMEOUT_MS }),
    );
  }

  /** Whether an image was local when last looked. From memory. */
  isLocal(digest: string): boolean {
    return this.#local.has(digest);
  }

  /** What schedulers are told of the images that were local when last looked, see {@link imageHints}. From memory. */
  hints(): readonly number[] {
    this.#hints ??= imageHints(this.#local);
    return this.#hints;
  }

  /** Looks which images are local. */
  async refresh(): Promise<void> {
    const local = new Map<string, number>();
    let pageToken = "";
    do {
      const request = { pageSize: PAGE, pageToken };
      const page = await call(this.#client, this.#client.listImages, request, { timeoutMs: TIMEOUT_MS });
      for (const { digest, lastUseTime } of page.images) local.set(digest, lastUseTime?.getTime() ?? 0);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    this.#setLocal(local);
  }

  close(): void {
    this.#client.close();
  }

  #arrived(digest: string): void {
    if (!this.#local.has(digest)) this.#setLocal(new Map([...this.#local, [digest, Date.now()]]));
  }

  #setLocal(local: ReadonlyMap<string, number>): void {
    this.#local = local;
    this.#hints = undefined;
  }

  async #call(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (err) {
      throw unavailable(err);
    }
  }
}

function referenceOf({ registry, repository, digest }: ImageRef): string {
  return `${registry}/${repository}@${digest}`;
}

function toStep({ event }: EnsureImageResponse): PullStep | undefined {
  if (event?.$case === "progress") {
    const { bytesDone, bytesTotal } = event.value;
    return { kind: "progress", detail: describe(event.value), bytesDone, bytesTotal };
  }
  const image = event?.value.image;
  if (!event || !image) return undefined;
  const {
    entrypoint = [],
    cmd = [],
    env = [],
    user = "",
    workingDir = "",
    stopSignal = "",
  } = image.config ?? {};
  const config = { entrypoint, cmd, env, user, workingDir, stopSignal };
  return { kind: "ready", image: { rootfs: image.rootfsPath, config }, wasLocal: event.value.wasCached };
}

function describe({ phase, layersDone, layersTotal }: PullProgress): string {
  const layers = layersTotal > 0 ? ` ${Math.min(layersDone + 1, layersTotal)} of ${layersTotal} layers` : "";
  switch (phase) {
    case PullPhase.QUEUED:
      return "waiting for other pulls";
    case PullPhase.RESOLVING:
      return "reading the image's manifest";
    case PullPhase.DOWNLOADING:
      return `pulling${layers}`;
    case PullPhase.FLATTENING:
      return `reading${layers}`;
    case PullPhase.SQUASHING:
      return "writing the root file system";
    default:
      return "working";
  }
}

/** The cache's own faults go on to the caller; that it cannot be reached is a fault of ours. */
function unavailable(err: unknown): unknown {
  const isDown =
    hasReason(err, "PEER_UNAVAILABLE") ||
    hasReason(err, "DEADLINE_EXCEEDED") ||
    hasReason(err, "SERVER_DRAINING");
  if (!isDown) return err;
  return new Fault(
    "UNAVAILABLE",
    "IMAGECACHE_UNAVAILABLE",
    "the host's image cache cannot be reached",
    err.facts,
    {
      cause: err,
      retryAfterMs: 1_000,
    },
  );
}
