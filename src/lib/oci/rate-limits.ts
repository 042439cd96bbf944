import type { Clock } from "../runtime/clock.ts";

/** A registry's wish not to be asked for a while. */
export interface Hold {
  readonly status: number;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

/** Longest time that a registry is believed. */
const MAX_HOLD_MS = 24 * 60 * 60 * 1000;
/** The oldest are dropped. */
const MAX_HOLDS = 10_000;

/** Remembers what registries must not be asked before, by who asks and what for. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #holds = new Map<string, { readonly status: number; readonly endMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: string, status: number, afterMs: number): Hold {
    const lastsMs = Math.min(afterMs, MAX_HOLD_MS);
    this.#holds.delete(key);
    this.#holds.set(key, { status, endMs: this.#clock.monotonicMs() + lastsMs });
    const oldest = this.#holds.keys().next().value;
    if (this.#holds.size > MAX_HOLDS && oldest !== undefined) this.#holds.delete(oldest);
    return { status, untilMs: this.#clock.now() + lastsMs };
  }

  get(key: string): Hold | undefined {
    const hold = this.#holds.get(key);
    if (hold === undefined) return undefined;
    const restMs = hold.endMs - this.#clock.monotonicMs();
    if (restMs > 0) return { status: hold.status, untilMs: this.#clock.now() + restMs };
    this.#holds.delete(key);
    return undefined;
  }
}
