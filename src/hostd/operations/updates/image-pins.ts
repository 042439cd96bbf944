import { logger } from "../../../lib/runtime/log.ts";
import type { ImageCacheClient, Pin } from "../../images/imagecache-client.ts";
import type { MachineId } from "../../machines/machine.ts";
import { digestsOf } from "../../machines/version.ts";
import type { Store } from "../../store/store.ts";

export interface ImagePinsParts {
  readonly store: Pick<Store, "get">;
  readonly images: Pick<ImageCacheClient, "unpin">;
}

/**
 * Pins of images that a machine may no longer use. An update holds its image from before the pull
 * until it is over.
 */
export class ImagePins {
  readonly #parts: ImagePinsParts;
  readonly #held = new Set<Pin>();

  constructor(parts: ImagePinsParts) {
    this.#parts = parts;
  }

  /** Pins of images that no machine may have yet. */
  get held(): readonly Pin[] {
    return [...this.#held];
  }

  /** Holds the image of an update. Returns a function that releases it. */
  hold(pin: Pin): () => void {
    this.#held.add(pin);
    return () => this.#held.delete(pin);
  }

  /**
   * Unpins those of some images that the machine does not use, and no update of it holds. Never
   * throws: the sweep unpins too.
   */
  async unpinUnused(owner: MachineId, digests: Iterable<string>): Promise<void> {
    for (const digest of digests) {
      if (this.#isUsed(owner, digest)) continue;
      try {
        await this.#parts.images.unpin({ digest, owner });
      } catch (error) {
        logger.warn("could not unpin an image", { machine_id: owner, error });
      }
    }
  }

  #isUsed(owner: MachineId, digest: string): boolean {
    const machine = this.#parts.store.get(owner);
    const isGone = machine === undefined || machine.state === "destroying" || machine.state === "destroyed";
    if (!isGone && digestsOf(machine.spec).includes(digest)) return true;
    return this.held.some((pin) => pin.owner === owner && pin.digest === digest);
  }
}
