import type { Offer } from "./offer.ts";

/** Whether machines go where there is most room, or fill one host after the other. */
export type Placement = "spread" | "pack";

/** How {@link rank} decides. */
export interface RankOptions {
  /** Of machines in general; those of one app are always spread. Default `spread`. */
  readonly placement?: Placement;
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
  /** The image has to be pulled and flattened first. */
  imageMissing: 4,
  /** At full load. */
  load: 2,
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
  const placement = options.placement ?? "spread";
  const roomiest = Math.max(1, ...offers.map((offer) => offer.freeAfter.memoryMb));
  return offers
    .map((offer) => ({ offer, cost: costOf(offer, roomiest, placement), tie: options.random() }))
    .sort((a, b) => a.cost - b.cost || a.tie - b.tie)
    .map(({ offer }) => offer);
}

/** The cost of an offer; see {@link COST}. Never higher for an offer that is better in one respect and equal in all others. */
function costOf(offer: Offer, roomiestMb: number, placement: Placement): number {
  const room = offer.freeAfter.memoryMb / roomiestMb;
  return (
    COST.appMachine * Math.max(0, offer.appMachines) +
    (offer.imageLocal ? 0 : COST.imageMissing) +
    COST.load * inSteps(offer.load) +
    (offer.warm > 0 ? 0 : COST.notWarm) +
    COST.fill * inSteps(placement === "spread" ? 1 - room : room)
  );
}

function inSteps(value: number): number {
  // Whatever is not a number counts as the worst, so it can never be preferred for that.
  const clamped = value >= 0 ? Math.min(value, 1) : value < 0 ? 0 : 1;
  return Math.round(clamped * STEPS) / STEPS;
}
