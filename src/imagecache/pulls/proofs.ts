import { accessKey } from "../../lib/oci/auth/credentials.ts";
import type { Digest } from "../../lib/oci/digest.ts";
import type { ImageSource } from "../../lib/oci/image-source.ts";
import type { Clock } from "../../lib/runtime/clock.ts";

/** Repositories may lose images, and organisations the right to them. */
const LIFE_MS = 60 * 60_000;
/** The oldest are dropped. */
const MAX_PROOFS = 100_000;

/** What repositories have proven to have, to whom: images and layers, by {@link keyOf}. */
export class Proofs {
  readonly #clock: Clock;
  readonly #expiries = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(key: string): boolean {
    return (this.#expiries.get(key) ?? 0) > this.#clock.monotonicMs();
  }

  add(key: string): void {
    this.#expiries.delete(key);
    this.#expiries.set(key, this.#clock.monotonicMs() + LIFE_MS);
    const oldest = this.#expiries.keys().next().value;
    if (this.#expiries.size > MAX_PROOFS && oldest !== undefined) this.#expiries.delete(oldest);
  }
}

/** Names something of a repository as one organisation with its credentials sees it. */
export function keyOf(from: ImageSource, digest: Digest): string {
  return `${accessKey(from.access)} ${from.registry}/${from.repository}@${digest}`;
}
