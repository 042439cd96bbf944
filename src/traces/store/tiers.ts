/** Why a trace is kept, see ADR 37. Of `recent` ones that become old, some go on as `sample`. */
export const TIERS = ["client", "background", "calls", "failed", "slow", "sample", "recent"] as const;
export type Tier = (typeof TIERS)[number];

/** Part of all traces that each tier has when all have enough. */
const SHARES: Readonly<Record<Tier, number>> = {
  client: 0.1,
  background: 0.25,
  calls: 0.1,
  failed: 0.125,
  slow: 0.125,
  sample: 0.15,
  recent: 0.15,
};

/**
 * Tiers that never have more than their shares: no client can push out traces of services, and
 * regular calls would push out all others within minutes.
 */
export const CAPPED: readonly Tier[] = ["client", "background"];

/** Slowest traces of a path and hour that are kept, when there is room. */
const SLOWEST = 20;
/** Paths and hours that there is room for at least. */
const SLOW_GROUPS = 50;
/** Mean time for which the sample holds a trace, when there are more than it can hold. */
const SAMPLE_LIFE_MS = 7 * 24 * 3_600_000;

/** Traces that a tier has of `keep` in all. */
export function shareOf(tier: Tier, keep: number): number {
  return Math.ceil(keep * SHARES[tier]);
}

/** How many of the slowest operations of a path and hour keep their traces. */
export function slowestOf(keep: number): number {
  return Math.max(1, Math.min(SLOWEST, Math.floor((keep * SHARES.slow) / SLOW_GROUPS)));
}

/**
 * Returns a rank for the sample. The lowest ranks are evicted, so that of the traces of any time each
 * is left with the same probability, which halves in about five days.
 *
 * @param random from 0 to 1, without 0
 */
export function sampleRank(receivedMs: number, random: number): number {
  return receivedMs - SAMPLE_LIFE_MS * Math.log(random);
}

/** Counts traces by tier, and failed ones by organisation. */
export class TierCounts {
  readonly #counts = new Map<Tier, number>();
  readonly #failed = new Map<string, number>();

  get total(): number {
    let total = 0;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  of(tier: Tier): number {
    return this.#counts.get(tier) ?? 0;
  }

  add(tier: Tier, org: string, count: number): void {
    this.#counts.set(tier, this.of(tier) + count);
    if (tier !== "failed") return;
    const left = (this.#failed.get(org) ?? 0) + count;
    if (left > 0) this.#failed.set(org, left);
    else this.#failed.delete(org);
  }

  clear(): void {
    this.#counts.clear();
    this.#failed.clear();
  }

  /** The tier that is most above its share of `keep`. */
  largest(keep: number): Tier {
    let largest: Tier = "recent";
    let most = Number.NEGATIVE_INFINITY;
    for (const tier of TIERS) {
      const excess = this.of(tier) - shareOf(tier, keep);
      if (this.of(tier) > 0 && excess >= most) [largest, most] = [tier, excess];
    }
    return largest;
  }

  /** The organisation with most failed traces: its oldest go first, so that nobody can push out those of others. */
  mostFailed(): string {
    let org = "";
    let most = 0;
    for (const [each, count] of this.#failed) {
      if (count > most) [org, most] = [each, count];
    }
    return org;
  }
}
