import type { Digest } from "../../lib/oci/digest.ts";

/** Who needs which image. */
export interface Pin {
  readonly digest: Digest;
  readonly owner: string;
}

/** Where pins are kept. Each call is durable when it returns, and does no harm when repeated. */
export interface PinStore {
  add(pin: Pin): Promise<void>;
  remove(pin: Pin): Promise<void>;
}

/** What an owner may be called: it becomes a file name. */
export const OWNER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Pairs of image and owner: an image with any is never evicted. Kept in memory, and on disk before memory knows. */
export class Pins {
  readonly #store: PinStore;
  readonly #owners = new Map<Digest, Set<string>>();

  /** @param known what the store holds */
  constructor(store: PinStore, known: readonly Pin[]) {
    this.#store = store;
    for (const pin of known) this.#remember(pin);
  }

  /** Who pins an image, sorted. */
  owners(digest: Digest): readonly string[] {
    return [...(this.#owners.get(digest) ?? [])].sort();
  }

  async add(digest: Digest, owner: string): Promise<void> {
    if (this.#owners.get(digest)?.has(owner)) return;
    await this.#store.add({ digest, owner });
    this.#remember({ digest, owner });
  }

  async remove(digest: Digest, owner: string): Promise<void> {
    const owners = this.#owners.get(digest);
    if (!owners?.has(owner)) return;
    await this.#store.remove({ digest, owner });
    owners.delete(owner);
    if (owners.size === 0) this.#owners.delete(digest);
  }

  /** Makes the pins exactly these. Adds before it drops, so nothing wanted is without a pin in between. */
  async replace(wanted: readonly Pin[]): Promise<{ added: number; dropped: number }> {
    const keys = new Set(wanted.map(keyOf));
    const before = [...this.#owners].flatMap(([digest, owners]) =>
      [...owners].map((owner) => ({ digest, owner })),
    );
    const missing = new Map(wanted.map((pin) => [keyOf(pin), pin]));
    for (const pin of before) missing.delete(keyOf(pin));
    const unwanted = before.filter((pin) => !keys.has(keyOf(pin)));
    for (const pin of missing.values()) await this.add(pin.digest, pin.owner);
    for (const pin of unwanted) await this.remove(pin.digest, pin.owner);
    return { added: missing.size, dropped: unwanted.length };
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
