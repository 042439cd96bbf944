import { mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, hexOf, parseDigest } from "../../lib/oci/digest.ts";
import { syncFolder } from "../../lib/stores/durable-file.ts";
import { isMissing } from "./files.ts";

/** An owner who needs an image. */
export interface Pin {
  readonly digest: Digest;
  readonly owner: string;
  /** Organisation that the image is charged to; empty when unknown. */
  readonly org: string;
}

/** Pattern of owners, which are used as file names. */
export const OWNER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Owners after one and up to another. */
export interface OwnerRange {
  readonly after?: string | undefined;
  readonly upTo?: string | undefined;
}

/**
 * The pins of images, in memory and as files `<image>/<owner>` with the organisation. Changes are durable
 * before memory has them.
 */
export class Pins {
  readonly #dir: string;
  /** Organisation by owner. */
  readonly #owners = new Map<Digest, Map<string, string>>();

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(dir: string): Promise<Pins> {
    const pins = new Pins(dir);
    for (const hex of await readdir(dir)) {
      const digest = parseDigest(digestOf(hex));
      if (digest === undefined) continue;
      for (const owner of await readdir(join(dir, hex))) {
        if (!OWNER.test(owner)) continue;
        pins.#remember({ digest, owner, org: await readFile(join(dir, hex, owner), "utf8") });
      }
    }
    return pins;
  }

  /** Returns the owners of an image, sorted. */
  owners(digest: Digest): readonly string[] {
    return [...(this.#owners.get(digest)?.keys() ?? [])].sort();
  }

  /** Returns the images that an organisation is charged for. */
  imagesOf(org: string): readonly Digest[] {
    return [...this.#owners]
      .filter(([, owners]) => [...owners.values()].includes(org))
      .map(([digest]) => digest);
  }

  async add(pin: Pin): Promise<void> {
    if (this.#has(pin)) return;
    await this.#write(pin);
    this.#remember(pin);
  }

  async remove({ digest, owner }: Omit<Pin, "org">): Promise<void> {
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

  /** Replaces the pins of a range of owners. Adds before it removes, so that no pin in both sets is missing for a moment. */
  async replace(pins: readonly Pin[], range: OwnerRange = {}): Promise<{ added: number; dropped: number }> {
    const wanted = new Map(pins.map((pin) => [keyOf(pin), pin]));
    const dropped = [...this.#owners]
      .flatMap(([digest, owners]) => [...owners.keys()].map((owner) => ({ digest, owner })))
      .filter((pin) => isWithin(pin.owner, range) && !wanted.has(keyOf(pin)));
    const added = [...wanted.values()].filter((pin) => !this.#has(pin));
    for (const pin of added) await this.add(pin);
    for (const pin of dropped) await this.remove(pin);
    return { added: added.length, dropped: dropped.length };
  }

  /** Whether a pin is there, for the same organisation or one that the caller does not know. */
  #has({ digest, owner, org }: Pin): boolean {
    const known = this.#owners.get(digest)?.get(owner);
    return known !== undefined && (org === "" || known === org);
  }

  async #write({ digest, owner, org }: Pin): Promise<void> {
    const dir = join(this.#dir, hexOf(digest));
    for (;;) {
      if ((await mkdir(dir, { recursive: true })) !== undefined) await syncFolder(this.#dir);
      try {
        await writeFile(join(dir, owner), org, { mode: 0o600 });
        await syncFolder(dir);
        return;
      } catch (err) {
        // A concurrent `remove` may have removed the folder.
        if (!isMissing(err)) throw err;
      }
    }
  }

  #remember({ digest, owner, org }: Pin): void {
    const owners = this.#owners.get(digest) ?? new Map<string, string>();
    owners.set(owner, org);
    this.#owners.set(digest, owners);
  }
}

/** Whether an owner is in a range, by code units. */
export function isWithin(owner: string, { after = "", upTo }: OwnerRange): boolean {
  return owner > after && (upTo === undefined || owner <= upTo);
}

function keyOf({ digest, owner }: Omit<Pin, "org">): string {
  return `${digest} ${owner}`;
}
