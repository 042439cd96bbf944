import { Fault } from "../../lib/faults/fault.ts";
import type { Digest } from "../../lib/oci/digest.ts";
import type { ImageStore } from "./image-store.ts";
import type { Pin, Pins } from "./pins.ts";

/** Bounds the disk that the pinned images of an organisation take, so that it leaves room for others. */
export class OrgShares {
  readonly #pins: Pins;
  readonly #images: ImageStore;
  readonly #limitBytes: number;
  /** Pins that are being written. */
  readonly #pending = new Set<Pin>();

  constructor(pins: Pins, images: ImageStore, limitBytes: number) {
    this.#pins = pins;
    this.#images = images;
    this.#limitBytes = limitBytes;
  }

  /** Refuses an organisation that has used up its share, before anything is pulled for it. @throws Fault `IMAGE_SHARE_EXCEEDED` */
  checkRoom(org: string, digest: Digest): void {
    // Its size is not known yet.
    this.#check(org, digest, 1);
  }

  /** Pins an image that is ready. @throws Fault RESOURCE_EXHAUSTED / `IMAGE_SHARE_EXCEEDED` */
  async pin(pin: Pin): Promise<void> {
    this.#check(pin.org, pin.digest, this.#sizeOf(pin.digest));
    this.#pending.add(pin);
    try {
      await this.#pins.add(pin);
    } finally {
      this.#pending.delete(pin);
    }
  }

  #check(org: string, digest: Digest, neededBytes: number): void {
    if (org === "") return;
    const pending = [...this.#pending].filter((pin) => pin.org === org).map((pin) => pin.digest);
    const charged = new Set([...this.#pins.imagesOf(org), ...pending]);
    if (charged.has(digest)) return;
    const usedBytes = [...charged].reduce((sum, each) => sum + this.#sizeOf(each), 0);
    if (usedBytes + neededBytes > this.#limitBytes)
      throw exceeded(org, this.#limitBytes, usedBytes, neededBytes);
  }

  #sizeOf(digest: Digest): number {
    return this.#images.get(digest)?.sizes.rootfsBytes ?? 0;
  }
}

function exceeded(org: string, limitBytes: number, usedBytes: number, neededBytes: number): Fault {
  const facts = {
    org,
    limit_bytes: String(limitBytes),
    used_bytes: String(usedBytes),
    needed_bytes: String(neededBytes),
  };
  const message = `the images of ${org}'s machines on this host take ${usedBytes} bytes, and with this one they would take more than its share of ${limitBytes} bytes; destroy machines that use other images, or raise IMAGECACHE_ORG_SHARE or IMAGECACHE_BUDGET_MB`;
  return new Fault("RESOURCE_EXHAUSTED", "IMAGE_SHARE_EXCEEDED", message, facts);
}
