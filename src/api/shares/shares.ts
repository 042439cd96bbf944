import { Fault } from "../../lib/faults/fault.ts";
import type { Action, Limits, Rate, Rates } from "./rates.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Organisations with buckets. Of more, the one that has called least recently gets a full one. */
const MAX_ORGS = 10_000;
/** Soon enough for people, and seldom enough for a crowd that waits. */
const MIN_RETRY_MS = 50;

/**
 * The rates of organisations, each with a bucket for each action. In memory: each api counts for
 * itself, and a restart begins with full buckets.
 */
export class Shares {
  readonly #rates: Rates;
  readonly #monotonicMs: () => number;
  #limits: ReadonlyMap<string, Limits> = new Map();
  readonly #orgs = new Map<string, Map<Action, TokenBucket>>();

  constructor(rates: Rates, monotonicMs: () => number) {
    this.#rates = rates;
    this.#monotonicMs = monotonicMs;
  }

  /** Organisations with a bucket. */
  get size(): number {
    return this.#orgs.size;
  }

  /** Takes a token of an organisation. Returns the fault `RATE_LIMITED` when there is none. */
  take(org: string, action: Action): Fault | undefined {
    const retryAfterMs = this.#bucket(org, action).take(this.#monotonicMs());
    return retryAfterMs === 0 ? undefined : rateLimited(org, action, this.#rate(org, action), retryAfterMs);
  }

  /** Takes tokens for what an organisation has done already. Later calls wait for them. */
  charge(org: string, action: Action, tokens: number): void {
    this.#bucket(org, action).charge(tokens, this.#monotonicMs());
  }

  limitsOf(org: string): Limits | undefined {
    return this.#limits.get(org);
  }

  /** Replaces the limits of the organisations that have their own. */
  setLimits(limits: ReadonlyMap<string, Limits>): void {
    const changed = new Set([...this.#limits.keys(), ...limits.keys()]);
    this.#limits = limits;
    for (const org of changed)
      for (const [action, bucket] of this.#orgs.get(org) ?? [])
        bucket.setRate(this.#rate(org, action), this.#monotonicMs());
  }

  /** Forgets organisations whose buckets are full: new buckets would be the same. */
  dropIdle(): void {
    const nowMs = this.#monotonicMs();
    for (const [org, buckets] of this.#orgs)
      if ([...buckets.values()].every((bucket) => bucket.isFull(nowMs))) this.#orgs.delete(org);
  }

  #bucket(org: string, action: Action): TokenBucket {
    const buckets = this.#orgs.get(org) ?? this.#make();
    // Moves it to the end: the map is in the order of use.
    this.#orgs.delete(org);
    this.#orgs.set(org, buckets);
    return buckets.get(action) ?? this.#addBucket(buckets, org, action);
  }

  #make(): Map<Action, TokenBucket> {
    if (this.#orgs.size >= MAX_ORGS) this.#orgs.delete(this.#orgs.keys().next().value ?? "");
    return new Map();
  }

  #addBucket(buckets: Map<Action, TokenBucket>, org: string, action: Action): TokenBucket {
    const bucket = new TokenBucket(this.#rate(org, action), this.#monotonicMs());
    buckets.set(action, bucket);
    return bucket;
  }

  #rate(org: string, action: Action): Rate {
    return this.#limits.get(org)?.rates[action] ?? this.#rates[action];
  }
}

const DOES: Readonly<Record<Action, string>> = {
  create: "creates machines",
  start: "starts machines",
  stop: "stops and destroys machines",
  read: "reads",
  follow: "opens waits and logs",
  exec: "runs commands",
  admin: "changes apps and organisations",
};

function rateLimited(org: string, action: Action, rate: Rate, afterMs: number): Fault {
  const retryAfterMs = Math.ceil(Math.max(MIN_RETRY_MS, afterMs));
  const message =
    `organisation ${org} ${DOES[action]} more often than it may, ${rate.perSecond} times a second and ` +
    `${rate.burst} at once; try again in ${seconds(retryAfterMs)}, or have the rate raised`;
  const facts = { org, action, limit: String(rate.perSecond), burst: String(rate.burst) };
  return new Fault("RESOURCE_EXHAUSTED", "RATE_LIMITED", message, facts, { retryAfterMs });
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}
