import {
  type EnsureImageResponse,
  ImageCacheServiceClient,
  Pin as PinProto,
  PullPhase,
  type PullProgress,
} from "../../gen/windhover/imagecache/v1/imagecache.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { call, connect, openStream } from "../../lib/grpc/client.ts";
import { MAX_LIST_BYTES, takeBytes } from "../../lib/grpc/messages/batches.ts";
import type { Credentials } from "../../lib/oci/auth/credentials.ts";
import type { ImageRef, LocalImage } from "../machines/version.ts";
import { imageHints } from "./image-hints.ts";

/** A pull of a large image is slow; the create has a limit of its own. */
const ENSURE_TIMEOUT_MS = 60 * 60_000;
const SCOPE = { timeoutMs: 5_000 };
const PAGE_SIZE = 1_000;

/** Keeps an image for a machine, the owner. */
export interface Pin {
  readonly digest: string;
  readonly owner: string;
  /** Organisation that the image is charged to. */
  readonly org: string;
}

/** For whom an image is pulled. */
export interface PullFor {
  /** A machine. */
  readonly owner: string;
  readonly org: string;
  /** Never stored. Undefined: none. */
  readonly credentials: Credentials | undefined;
}

export type PullStep =
  | {
      readonly kind: "progress";
      readonly detail: string;
      readonly bytesDone: bigint;
      readonly bytesTotal: bigint;
    }
  | { readonly kind: "ready"; readonly image: LocalImage; readonly wasLocal: boolean };

/** Calls the image cache on this host. A start never does. Faults: those of the cache, and IMAGECACHE_UNAVAILABLE. */
export class ImageCacheClient {
  readonly #client: ImageCacheServiceClient;
  /** Last use of each local image, by digest, at the last refresh. */
  #local: ReadonlyMap<string, number> = new Map();
  #hints: readonly number[] | undefined;

  constructor(address: string, token: TokenSource) {
    this.#client = connect(ImageCacheServiceClient, address, { token });
  }

  /** Makes an image local and pins it for the owner. The last step is `ready`. */
  async *ensure(
    ref: ImageRef,
    { owner, org, credentials }: PullFor,
    signal: AbortSignal,
  ): AsyncGenerator<PullStep> {
    const { registry, repository, digest } = ref;
    const reference = `${registry}/${repository}@${digest}`;
    const request = { reference, digest, owner, org, credentials };
    const scope = { timeoutMs: ENSURE_TIMEOUT_MS, signal };
    try {
      for await (const message of openStream(this.#client, this.#client.ensureImage, request, scope)) {
        const step = stepFromProto(message);
        if (step?.kind === "ready") this.#addLocal(digest);
        if (step) yield step;
      }
    } catch (err) {
      throw unavailable(err);
    }
  }

  async pin(pin: Pin): Promise<void> {
    await call(this.#client, this.#client.pinImage, pin, SCOPE).catch(rethrow);
  }

  async unpin(pin: Omit<Pin, "org">): Promise<void> {
    await call(this.#client, this.#client.unpinImage, pin, SCOPE).catch(rethrow);
  }

  /** Replaces all pins, in parts by owner that fit into messages. */
  async reconcilePins(pins: readonly Pin[]): Promise<void> {
    const left = pins.toSorted((a, b) => (a.owner < b.owner ? -1 : 1));
    let afterOwner: string | undefined;
    do {
      const part = left.splice(0, lengthOfPart(left, MAX_LIST_BYTES));
      const upToOwner = left.length === 0 ? undefined : part.at(-1)?.owner;
      const request = { pins: part, afterOwner, upToOwner };
      await call(this.#client, this.#client.reconcilePins, request, SCOPE).catch(rethrow);
      afterOwner = upToOwner;
    } while (left.length > 0);
  }

  /** Whether an image was local at the last refresh. */
  isLocal(digest: string): boolean {
    return this.#local.has(digest);
  }

  /** Returns {@link imageHints} of the last refresh; the same array while the images are the same. */
  hints(): readonly number[] {
    this.#hints ??= imageHints(this.#local);
    return this.#hints;
  }

  async refresh(): Promise<void> {
    const local = new Map<string, number>();
    let pageToken = "";
    do {
      const request = { pageSize: PAGE_SIZE, pageToken };
      const page = await call(this.#client, this.#client.listImages, request, SCOPE);
      for (const { digest, lastUseTime } of page.images) local.set(digest, lastUseTime?.getTime() ?? 0);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    this.#setLocal(local);
  }

  close(): void {
    this.#client.close();
  }

  #addLocal(digest: string): void {
    if (!this.#local.has(digest)) this.#setLocal(new Map([...this.#local, [digest, Date.now()]]));
  }

  #setLocal(local: ReadonlyMap<string, number>): void {
    this.#local = local;
    this.#hints = undefined;
  }
}

function stepFromProto({ event }: EnsureImageResponse): PullStep | undefined {
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
    volumes = [],
  } = image.config ?? {};
  const config = { entrypoint, cmd, env, user, workingDir, stopSignal, volumes };
  const sizeBytes = Number(image.sizes?.rootfsBytes ?? 0n);
  return {
    kind: "ready",
    image: { rootfs: image.rootfsPath, config, sizeBytes },
    wasLocal: event.value.wasCached,
  };
}

/** By phase. LAYERS stands for the number of layers, where it is known. */
const DETAILS = {
  [PullPhase.UNSPECIFIED]: "working",
  [PullPhase.UNRECOGNIZED]: "working",
  [PullPhase.QUEUED]: "waiting for other pulls",
  [PullPhase.RESOLVING]: "reading the image's manifest",
  [PullPhase.DOWNLOADING]: "pullingLAYERS",
  [PullPhase.FLATTENING]: "readingLAYERS",
  [PullPhase.SQUASHING]: "writing the root file system",
} satisfies Record<PullPhase, string>;

function describe({ phase, layersDone, layersTotal }: PullProgress): string {
  const layers = layersTotal > 0 ? ` ${Math.min(layersDone + 1, layersTotal)} of ${layersTotal} layers` : "";
  return (DETAILS[phase] ?? DETAILS[PullPhase.UNRECOGNIZED]).replace("LAYERS", layers);
}

/** Returns how many of some pins, which are by owner, go into one message: all of an owner, who may have two, or none. */
export function lengthOfPart(pins: readonly Pin[], maxBytes: number): number {
  let { length } = takeBytes(pins, maxBytes, bytesOf);
  if (length === pins.length) return length;
  while (length > 1 && pins[length]?.owner === pins[length - 1]?.owner) length -= 1;
  return length;
}

function bytesOf(pin: Pin): number {
  return PinProto.encode(pin).finish().length;
}

function rethrow(err: unknown): never {
  throw unavailable(err);
}

/** Makes the fault IMAGECACHE_UNAVAILABLE when the cache could not be reached. Returns other errors as they are. */
function unavailable(err: unknown): unknown {
  const isDown =
    hasReason(err, "PEER_UNAVAILABLE") ||
    hasReason(err, "DEADLINE_EXCEEDED") ||
    hasReason(err, "SERVER_DRAINING");
  if (!isDown) return err;
  const message = "the host's image cache cannot be reached";
  const extra = { cause: err, retryAfterMs: 1_000 };
  return new Fault("UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", message, err.facts, extra);
}
