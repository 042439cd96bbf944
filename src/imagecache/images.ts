import type { Digest } from "../lib/oci/digest.ts";
import type { ImageReference } from "../lib/oci/reference.ts";
import { Fault } from "../lib/runtime/fault.ts";
import type { Image, ImageView, Progress } from "./disk/image.ts";
import type { Pins } from "./disk/pins.ts";
import { Flights } from "./pulls/flights.ts";
import { holdMs } from "./pulls/progress.ts";

/** The images that are ready, on disk. */
export interface ImageStore {
  /** From memory. */
  get(digest: Digest): Image | undefined;
  /** From memory, in the order of their digests. */
  all(): readonly Image[];
  lastUseMs(digest: Digest): number;
  /** Looks at the file itself: whether it is there, and as long as it should be. Forgets the image when it is not. */
  isIntact(digest: Digest): Promise<boolean>;
  /** Notes that it was used now. */
  touch(digest: Digest): Promise<void>;
  /** @returns disk space given back, in bytes */
  remove(digest: Digest): Promise<number>;
}

/** What a pull comes to. */
export interface Pulled {
  readonly image: Image;
  /** Compressed bytes that came over the network. */
  readonly downloadedBytes: number;
}

/** Makes an image ready that is not. */
export type Pull = (
  ref: ImageReference,
  digest: Digest,
  report: (progress: Progress) => void,
  signal: AbortSignal,
) => Promise<Pulled>;

/** What is to be made local, and for whom. */
export interface EnsureOrder {
  readonly ref: ImageReference;
  readonly digest: Digest;
  /** Empty: for nobody in particular; then it is not pinned. */
  readonly owner: string;
}

/** A step of {@link Images.ensure}: progress, and in the end the image. */
export type EnsureStep =
  | { readonly kind: "progress"; readonly progress: Progress }
  | {
      readonly kind: "ready";
      readonly image: ImageView;
      readonly wasCached: boolean;
      readonly downloadedBytes: number;
    };

/** The images of this host: makes them local, keeps those that are pinned, and answers what there is. */
export class Images {
  readonly #store: ImageStore;
  readonly #pins: Pins;
  readonly #pull: Pull;
  readonly #flights = new Flights<Progress, Pulled>(holdMs);
  /** Images being handed to a caller: not to be evicted between being ready and being pinned. */
  readonly #held = new Map<Digest, number>();

  constructor(store: ImageStore, pins: Pins, pull: Pull) {
    this.#store = store;
    this.#pins = pins;
    this.#pull = pull;
  }

  /** Makes an image local and pins it. @throws Fault as the proto documents */
  async *ensure(order: EnsureOrder, signal: AbortSignal): AsyncGenerator<EnsureStep> {
    const { ref, digest, owner } = order;
    this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    try {
      const wasCached = this.#store.get(digest) !== undefined && (await this.#store.isIntact(digest));
      let downloadedBytes = 0;
      if (!wasCached) {
        const steps = this.#flights.join(digest, signal, (report, stop) =>
          this.#pull(ref, digest, report, stop),
        );
        for (;;) {
          const step = await steps.next();
          if (step.done) {
            downloadedBytes = step.value.downloadedBytes;
            break;
          }
          yield { kind: "progress", progress: step.value };
        }
      }
      if (owner !== "") await this.#pins.add(digest, owner);
      await this.#store.touch(digest);
      yield { kind: "ready", image: this.get(digest), wasCached, downloadedBytes };
    } finally {
      const others = (this.#held.get(digest) ?? 1) - 1;
      if (others === 0) this.#held.delete(digest);
      else this.#held.set(digest, others);
    }
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` */
  get(digest: Digest): ImageView {
    const image = this.#store.get(digest);
    if (image === undefined) throw notCached(digest);
    return this.#view(image);
  }

  /** The images after `after`, at most `limit`, in the order of their digests. */
  list(after: string, limit: number): readonly ImageView[] {
    const all = this.#store.all().filter((image) => image.digest > after);
    return all.slice(0, limit).map((image) => this.#view(image));
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` */
  async pin(digest: Digest, owner: string): Promise<ImageView> {
    this.get(digest);
    await this.#pins.add(digest, owner);
    await this.#store.touch(digest);
    return this.get(digest);
  }

  async unpin(digest: Digest, owner: string): Promise<void> {
    await this.#pins.remove(digest, owner);
  }

  /** Makes the pins exactly these. */
  async reconcile(wanted: readonly { readonly digest: Digest; readonly owner: string }[]) {
    const { added, dropped } = await this.#pins.replace(wanted);
    const missing = new Set(
      wanted.map((pin) => pin.digest).filter((digest) => this.#store.get(digest) === undefined),
    );
    return { added, dropped, missing: [...missing].sort() };
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` or FAILED_PRECONDITION / `IMAGE_PINNED` */
  async remove(digest: Digest): Promise<number> {
    const { owners } = this.get(digest);
    if (owners.length > 0 || this.#held.has(digest)) throw pinned(digest, owners);
    return this.#store.remove(digest);
  }

  /** Whether an image may not be evicted now. */
  isNeeded(digest: Digest): boolean {
    return this.#held.has(digest) || this.#pins.owners(digest).length > 0;
  }

  /** How many pulls are under way. */
  get pulling(): number {
    return this.#flights.size;
  }

  /** Breaks pulls off; what they have downloaded stays. */
  async close(): Promise<void> {
    await this.#flights.close();
  }

  #view(image: Image): ImageView {
    return {
      ...image,
      lastUseMs: this.#store.lastUseMs(image.digest),
      owners: this.#pins.owners(image.digest),
    };
  }
}

function notCached(digest: Digest) {
  const message = `the image ${digest} is not on this host; make it local with EnsureImage`;
  return new Fault("NOT_FOUND", "IMAGE_NOT_CACHED", message, { digest });
}

function pinned(digest: Digest, owners: readonly string[]) {
  const who = owners.length > 0 ? owners.join(", ") : "a call that is about to use it";
  const message = `the image ${digest} is in use by ${who}; destroy the machines that use it first`;
  return new Fault("FAILED_PRECONDITION", "IMAGE_PINNED", message, { digest, owners: owners.join(",") });
}
