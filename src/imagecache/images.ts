import { Fault } from "../lib/faults/fault.ts";
import type { Digest } from "../lib/oci/digest.ts";
import type { Image, ImageView } from "./disk/image.ts";
import type { ImageStore } from "./disk/image-store.ts";
import type { OrgShares } from "./disk/org-shares.ts";
import type { OwnerRange, Pin, Pins } from "./disk/pins.ts";
import { UseCounts } from "./disk/use-counts.ts";
import { Flights } from "./pulls/flights.ts";
import type { Progress } from "./pulls/progress.ts";
import { keyOf, type Proofs } from "./pulls/proofs.ts";
import type { Pulled, Puller, PullSource } from "./pulls/puller.ts";

export interface EnsureRequest {
  readonly from: PullSource;
  /** Empty: not pinned. */
  readonly owner: string;
}

/** What {@link Images.ensure} yields: progress, and in the end the image. */
export type EnsureStep =
  | { readonly kind: "progress"; readonly progress: Progress }
  | {
      readonly kind: "ready";
      readonly image: ImageView;
      readonly wasCached: boolean;
      readonly downloadedBytes: number;
    };

export class Images {
  readonly #store: ImageStore;
  readonly #pins: Pins;
  readonly #shares: OrgShares;
  readonly #puller: Puller;
  readonly #proofs: Proofs;
  readonly #flights = new Flights<Progress, Pulled>();
  /** Images of `ensure` calls under way, so that none is evicted before it is pinned. */
  readonly #inUse = new UseCounts();

  constructor(store: ImageStore, pins: Pins, shares: OrgShares, puller: Puller, proofs: Proofs) {
    this.#store = store;
    this.#shares = shares;
    this.#pins = pins;
    this.#puller = puller;
    this.#proofs = proofs;
  }

  /** Makes an image local and pins it. @throws Fault as the proto documents */
  async *ensure({ from, owner }: EnsureRequest, signal: AbortSignal): AsyncGenerator<EnsureStep> {
    const { digest } = from;
    const { org } = from.access;
    const key = keyOf(from, digest);
    if (owner !== "") this.#shares.checkRoom(org, digest);
    using _ = this.#inUse.use([digest]);
    const wasCached = this.#store.get(digest) !== undefined && (await this.#store.isIntact(digest));
    let downloadedBytes = 0;
    // Others may have pulled it, from a repository that this caller may not read.
    if (!wasCached || !this.#proofs.has(key)) {
      const steps = this.#flights.join(key, signal, async (report, stop) => {
        const pulled = await this.#puller.pull(from, report, stop);
        this.#proofs.add(key);
        return pulled;
      });
      for (;;) {
        const step = await steps.next();
        if (step.done) {
          downloadedBytes = step.value.downloadedBytes;
          break;
        }
        yield { kind: "progress", progress: step.value };
      }
    }
    if (owner !== "") await this.#shares.pin({ digest, owner, org });
    await this.#store.touch(digest);
    yield { kind: "ready", image: this.get(digest), wasCached, downloadedBytes };
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` */
  get(digest: Digest): ImageView {
    const image = this.#store.get(digest);
    if (image === undefined) throw notCached(digest);
    return this.#view(image);
  }

  /** Returns up to `limit` images after the digest `after`, by digest. */
  list(after: string, limit: number): readonly ImageView[] {
    const all = this.#store.all().filter((image) => image.digest > after);
    return all.slice(0, limit).map((image) => this.#view(image));
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` */
  async pin(pin: Pin): Promise<ImageView> {
    this.get(pin.digest);
    await this.#shares.pin(pin);
    await this.#store.touch(pin.digest);
    return this.get(pin.digest);
  }

  async unpin(pin: Omit<Pin, "org">): Promise<void> {
    await this.#pins.remove(pin);
  }

  /** Replaces the pins of a range of owners. Returns the pinned images that are not ready as `missing`. */
  async reconcile(pins: readonly Pin[], range: OwnerRange) {
    const { added, dropped } = await this.#pins.replace(pins, range);
    const missing = new Set(pins.map(({ digest }) => digest).filter((digest) => !this.#store.get(digest)));
    return { added, dropped, missing: [...missing].sort() };
  }

  /** @throws Fault NOT_FOUND / `IMAGE_NOT_CACHED` or FAILED_PRECONDITION / `IMAGE_PINNED` */
  async remove(digest: Digest): Promise<number> {
    const { owners } = this.get(digest);
    if (owners.length > 0 || this.#inUse.has(digest)) throw pinned(digest, owners);
    return this.#store.remove(digest);
  }

  /** Whether an image must not be evicted. */
  isInUse(digest: Digest): boolean {
    return this.#inUse.has(digest) || this.#pins.owners(digest).length > 0;
  }

  get pulling(): number {
    return this.#flights.size;
  }

  /** Aborts pulls. What they have downloaded stays. */
  async close(): Promise<void> {
    await this.#flights.close();
  }

  #view(image: Image): ImageView {
    const { digest } = image;
    return { ...image, lastUseMs: this.#store.lastUseMs(digest), owners: this.#pins.owners(digest) };
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
