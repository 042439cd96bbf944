import type { Clock } from "../../lib/runtime/clock.ts";

/** Reservations remembered: as many as a replica makes in a few seconds at full speed. */
const MAX_REMEMBERED = 20_000;

/**
 * Remembers which hosts hold capacity for the reservations that this replica made lately, for when
 * Redis is away or has lost them. May forget, since holds end by time.
 */
export class RecentReservations {
  readonly #ttlMs: number;
  readonly #clock: Clock;
  readonly #byId = new Map<string, { hosts: readonly number[]; untilMs: number }>();

  constructor(ttlMs: number, clock: Clock) {
    this.#ttlMs = ttlMs;
    this.#clock = clock;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(id: string, hosts: readonly number[]): void {
    const nowMs = this.#clock.monotonicMs();
    this.#byId.delete(id);
    this.#byId.set(id, { hosts, untilMs: nowMs + this.#ttlMs });
    // All have the same TTL, so the first in is the first out.
    for (const [oldest, { untilMs }] of this.#byId) {
      if (untilMs > nowMs && this.#byId.size <= MAX_REMEMBERED) break;
      this.#byId.delete(oldest);
    }
  }

  /** Returns the hosts of a reservation and forgets it. */
  take(id: string): readonly number[] {
    const hosts = this.#byId.get(id)?.hosts ?? [];
    this.#byId.delete(id);
    return hosts;
  }
}
