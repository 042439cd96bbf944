/** Reservations remembered at most: what a replica makes in a few seconds at its fastest. */
const MAX_REMEMBERED = 20_000;

/**
 * Which hosts hold capacity for the reservations this replica made lately. Redis knows it too and for all replicas; this is
 * for when Redis has lost it or is away. May forget: holds end by time.
 */
export class Recent {
  readonly #ttlMs: number;
  readonly #monotonicMs: () => number;
  readonly #byId = new Map<string, { hosts: readonly number[]; untilMs: number }>();

  constructor(ttlMs: number, monotonicMs: () => number) {
    this.#ttlMs = ttlMs;
    this.#monotonicMs = monotonicMs;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(id: string, hosts: readonly number[]): void {
    const nowMs = this.#monotonicMs();
    this.#byId.delete(id);
    this.#byId.set(id, { hosts, untilMs: nowMs + this.#ttlMs });
    // All live equally long, so the first in is the first out.
    for (const [oldest, { untilMs }] of this.#byId) {
      if (untilMs > nowMs && this.#byId.size <= MAX_REMEMBERED) break;
      this.#byId.delete(oldest);
    }
  }

  /** The hosts of a reservation, which is then forgotten. */
  take(id: string): readonly number[] {
    const hosts = this.#byId.get(id)?.hosts ?? [];
    this.#byId.delete(id);
    return hosts;
  }
}
