import { mkdir, open, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOf, parseDigest } from "../../lib/oci/digest.ts";
import { syncFolder } from "../../lib/stores/durable-file.ts";
import { isMissing } from "./files.ts";

/** An owner who needs an image. */
export interface Pin {
  readonly digest: Digest;
  readonly owner: string;
}

/** Pattern of owners, which are used as file names. */
export const OWNER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * The pins of images, in memory and as empty files `<image>/<owner>`. Changes are durable before memory
 * has them.
 */
export class Pins {
  readonly #dir: string;
  readonly #owners = new Map<Digest, Set<string>>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(dir: string): Promise<Pins> {
    const pins = new Pins(dir);
    for (const hex of await readdir(dir)) {
      const digest = parseDigest(digestOf(hex));
      if (digest === undefined) continue;
      for (const owner of await readdir(join(dir, hex)))
        if (OWNER.test(owner)) pins.#remember({ digest, owner });
    }
    return pins;
  }

  /** Returns the owners of an image, sorted. */
  owners(digest: Digest): readonly string[] {
    return [...(this.#owners.get(digest) ?? [])].sort();
  }

  async add(pin: Pin): Promise<void> {
    if (this.#owners.get(pin.digest)?.has(pin.owner)) return;
    await this.#write(pin);
    this.#remember(pin);
  }

  async remove({ digest, owner }: Pin): Promise<void> {
    const owners = this.#owners.get(digest);
    if (!owners?.has(owner)) return;
    const dir = join(this.#dir, hexOf(digest));
    try {
      await rm(join(dir, owner), { force: true });
      await syncFolder(dir);
    } catch (err) {
      // A concurrent `remove` may have removed the folder.
      if (!isMissing(err)) throw err;
    }
    // Fails while there are other pins.
    await rmdir(dir).catch(() => undefined);
    owners.delete(owner);
    if (owners.size === 0) this.#owners.delete(digest);
  }

  /** Replaces all pins. Adds before it removes, so that no pin in both sets is missing for a moment. */
  async replace(pins: readonly Pin[]): Promise<{ added: number; dropped: number }> {
    const wanted = new Map(pins.map((pin) => [keyOf(pin), pin]));
    const dropped = [...this.#owners]
      .flatMap(([digest, owners]) => [...owners].map((owner) => ({ digest, owner })))
      .filter((pin) => !wanted.has(keyOf(pin)));
    const added = [...wanted.values()].filter(({ digest, owner }) => !this.#owners.get(digest)?.has(owner));
    for (const pin of added) await this.add(pin);
    for (const pin of dropped) await this.remove(pin);
    return { added: added.length, dropped: dropped.length };
  }

  async #write({ digest, owner }: Pin): Promise<void> {
    const dir = join(this.#dir, hexOf(digest));
    for (;;) {
      if ((await mkdir(dir, { recursive: true })) !== undefined) await syncFolder(this.#dir);
      try {
        await (await open(join(dir, owner), "w", 0o644)).close();
        await syncFolder(dir);
        return;
      } catch (err) {
        // A concurrent `remove` may have removed the folder.
        if (!isMissing(err)) throw err;
      }
    }
  }

  #remember({ digest, owner }: Pin): void {
    const owners = this.#owners.get(digest) ?? new Set();
    owners.add(owner);
    this.#owners.set(digest, owners);
  }
}

function keyOf({ digest, owner }: Pin): string {
  return `${digest} ${owner}`;
}
