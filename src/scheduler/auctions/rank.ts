import type { Offer } from "./offer.ts";
import type { Strategy } from "./placement.ts";

/** How {@link rank} decides. */
export interface RankOptions {
  /** Of machines in general; those of one app are always spread. Default `spread`. */
  readonly strategy?: Strategy;
  /** How much a host has refused lately, see `Refusals.score`. Default 0 for all. */
  readonly refusals?: (hostNumber: number) => number;
  /** Breaks ties: from 0 up to, not including, 1. */
  readonly random: () => number;
}

/**
 * What it costs to take an offer, in units of roughly a second of somebody's waiting.
 *
 * Another machine of the app on the host weighs more than a pull: a create is slow anyway, a host that takes all of an app
 * down with it is worse. Room and load weigh less than a pull: they differ a little between any two hosts.
 */
const COST = {
  /** Per machine of the same app on the host. */
  appMachine: 5,
  /** Per refusal just now: as bad as a pull, since an award that is refused again costs a round trip and maybe an auction. */
  refusal: 4,
  /** The image has to be pulled and flattened first. */
  imageMissing: 4,
  /** At full load. */
  load: 2,
  /** Per start or pull under way: each waits for the others. */
  inFlight: 0.25,
  /** No warm VM of the shape: the first start boots. */
  notWarm: 1,
  /** The least room of all offers, when spreading; the most, when packing. */
  fill: 1,
} as const;

/** Steps that load and room are rounded to: a difference below is noise and left to chance. */
const STEPS = 8;

/**
 * Orders offers, best first. Ties are broken at random, so that simultaneous auctions do not all pick the same host.
 * Pure: the same offers and the same random numbers give the same order.
 */
export function rank(offers: readonly Offer[], options: RankOptions): Offer[] {
  const roomiest = Math.max(1, ...offers.map((offer) => offer.freeAfter.memoryMb));
  return offers
    .map((offer) => ({ offer, cost: costOf(offer, roomiest, options), tie: options.random() }))
    .sort((a, b) => a.cost - b.cost || a.tie - b.tie)
    .map(({ offer }) => offer);
}

/** Whether no host that would have to pull the image can be ranked before this one, whatever it is like. Refusals aside. */
export function beatsAnyPull(offer: Offer): boolean {
  return offer.imageLocal && ownCost(offer) + COST.fill < COST.imageMissing;
}

/** The cost of an offer; see {@link COST}. Never higher for an offer that is better in one respect and equal in all others. */
function costOf(offer: Offer, roomiestMb: number, options: RankOptions): number {
  const room = offer.freeAfter.memoryMb / roomiestMb;
  return (
    ownCost(offer) +
    COST.refusal * (options.refusals?.(offer.hostNumber) ?? 0) +
    COST.fill * inSteps(options.strategy === "pack" ? room : 1 - room)
  );
}

/** What an offer costs by itself, whatever the others are and whatever its host did before. */
function ownCost(offer: Offer): number {
  return (
    COST.appMachine * Math.max(0, offer.appMachines) +
    (offer.imageLocal ? 0 : COST.imageMissing) +
    COST.load * inSteps(offer.load) +
    COST.inFlight * atMost(MAX_IN_FLIGHT, offer.inFlight) +
    (offer.warmVms > 0 ? 0 : COST.notWarm)
  );
}

/** More work than this under way says no more than that there is much. */
const MAX_IN_FLIGHT = 32;

function atMost(limit: number, value: number): number {
  return value >= 0 ? Math.min(value, limit) : value < 0 ? 0 : limit;
}

function inSteps(value: number): number {
  // Whatever is not a number counts as the worst, so it can never be preferred for that.
  const clamped = value >= 0 ? Math.min(value, 1) : value < 0 ? 0 : 1;
  return Math.round(clamped * STEPS) / STEPS;
}
