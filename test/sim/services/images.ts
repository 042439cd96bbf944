import type { Host } from "../../../src/hostd/hostd.ts";
import type { Pin } from "../../../src/hostd/images/imagecache-client.ts";
import type { LocalImage } from "../../../src/hostd/machines/version.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { Random } from "../world/random.ts";
import type { Life, World } from "../world/world.ts";

/** The image cache of a host, a process of its own that outlives hostd. Faults: it is away; a pull takes long. */
export class ImageCache {
  /** By {@link keyOf}. */
  readonly pins = new Set<string>();
  readonly #local = new Set<string>();
  readonly #random: Random;
  isAway = false;

  constructor(world: World, host: string) {
    this.#random = new Random(world.seed, `images of ${host}`);
  }

  isLocal(digest: string): boolean {
    return this.#local.has(digest);
  }

  /** The cache as a life of hostd has it. */
  open(life: Life): Host["images"] {
    return {
      ensure: (ref, { owner }, signal) => this.#ensure(life, ref.digest, owner, signal),
      pin: (pin) => this.#ask(life, () => this.#pin(pin)),
      unpin: (pin) => this.#ask(life, () => this.pins.delete(keyOf(pin))),
      reconcilePins: (pins) =>
        this.#ask(life, () => {
          this.pins.clear();
          for (const pin of pins) this.#pin(pin);
        }),
    };
  }

  async *#ensure(life: Life, digest: string, owner: string, signal: AbortSignal) {
    const wasLocal = this.#local.has(digest);
    if (!wasLocal) {
      const pullMs = this.#random.between(5, this.#random.chance(0.1) ? 10_000 : 500);
      await this.#pause(life, pullMs);
      yield { kind: "progress", detail: "pulling", bytesDone: 1n, bytesTotal: 2n } as const;
      signal.throwIfAborted();
    }
    await this.#ask(life, () => {
      this.#local.add(digest);
      this.#pin({ digest, owner, org: "" });
    });
    signal.throwIfAborted();
    yield { kind: "ready", image: IMAGE, wasLocal } as const;
  }

  #pin(pin: Pin): void {
    this.pins.add(keyOf(pin));
  }

  /** There and back; killed in between, hostd does not learn what it has done. */
  async #ask(life: Life, work: () => unknown): Promise<void> {
    await this.#pause(life, this.#random.between(0.1, 1));
    if (this.isAway) throw away();
    work();
    await this.#pause(life, this.#random.between(0.1, 1));
  }

  #pause(life: Life, ms: number): Promise<void> {
    return new Promise((resolve) => life.world.after(life, ms, resolve));
  }
}

/** An image and whom it is kept for. */
export function keyOf({ digest, owner }: Pick<Pin, "digest" | "owner">): string {
  return `${digest} for ${owner}`;
}

const IMAGE: LocalImage = {
  rootfs: "/images/rootfs",
  config: { entrypoint: [], cmd: ["serve"], env: [], user: "", workingDir: "", stopSignal: "" },
};

function away(): Fault {
  return new Fault("UNAVAILABLE", "IMAGECACHE_UNAVAILABLE", "the host's image cache cannot be reached");
}
