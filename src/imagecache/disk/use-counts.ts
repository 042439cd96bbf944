import type { Digest } from "../../lib/oci/digest.ts";

export class UseCounts {
  readonly #counts = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#counts.has(digest);
  }

  /** Counts a use until the returned object is disposed of. */
  use(digests: readonly Digest[]): Disposable {
    for (const digest of digests) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        for (const digest of digests) {
          const others = (this.#counts.get(digest) ?? 1) - 1;
          if (others === 0) this.#counts.delete(digest);
          else this.#counts.set(digest, others);
        }
      },
    };
  }
}
