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

/** The tier in which all traces have the same chance, whosever they are. In others the organisation with most loses its first. */
export const UNIFORM: Tier = "sample";

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

/** Counts traces by tier and organisation. */
export class TierCounts {
  readonly #tiers = new Map<Tier, { total: number; readonly orgs: Map<string, number> }>();

  get total(): number {
    let total = 0;
    for (const tier of this.#tiers.values()) total += tier.total;
    return total;
  }

  of(tier: Tier): number {
    return this.#tiers.get(tier)?.total ?? 0;
  }

  add(tier: Tier, org: string, count: number): void {
    const counts = this.#tiers.get(tier) ?? { total: 0, orgs: new Map() };
    this.#tiers.set(tier, counts);
    counts.total += count;
    const left = (counts.orgs.get(org) ?? 0) + count;
    if (left > 0) counts.orgs.set(org, left);
    else counts.orgs.delete(org);
  }

  clear(): void {
    this.#tiers.clear();
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

  /** The organisation that has most traces in a tier. */
  largestOrg(tier: Tier): string {
    let largest = "";
    let most = 0;
    for (const [org, count] of this.#tiers.get(tier)?.orgs ?? []) {
      if (count > most) [largest, most] = [org, count];
    }
    return largest;
  }
}
