import type { Offer } from "./offer.ts";
import type { Strategy } from "./placement.ts";

export interface RankOptions {
  /** Machines of one app are always spread. Default `spread`. */
  readonly strategy?: Strategy;
  /** Recent refusals of a host, see `Refusals.score`. Default 0. */
  readonly refusals?: (hostNumber: number) => number;
  /** Breaks ties: from 0 up to, not including, 1. */
  readonly random: () => number;
}

/**
 * The cost of an offer, in units of roughly a second of waiting.
 *
 * Another machine of the app on the host costs more than a pull, because the loss of a host that has
 * all machines of an app is worse than a slow create. Room and load cost less than a pull, because
 * they differ a little between any two hosts.
 */
const COST = {
  /** Per machine of the same app on the host. */
  appMachine: 5,
  /** Per recent refusal: another one costs a round trip and maybe an auction. */
  refusal: 4,
  /** Pull and flattening of the image. */
  imageMissing: 4,
  /** At full load. */
  load: 2,
  /** Per start or pull under way. */
  inFlight: 0.25,
  /** No warm VM of the shape. */
  notWarm: 1,
  /** The least room of all offers when spreading, the most when packing. */
  fill: 1,
} as const;

/** Load and room are rounded to an eighth. A smaller difference is noise, and left to chance. */
const STEPS = 8;
/** More work under way than this counts as this. */
const MAX_IN_FLIGHT = 32;

/**
 * Orders offers, best first. Breaks ties at random, so that simultaneous auctions do not all choose
 * the same host.
 */
export function rank(offers: readonly Offer[], options: RankOptions): Offer[] {
  const roomiest = Math.max(1, ...offers.map((offer) => offer.freeAfter.memoryMb));
  return offers
    .map((offer) => ({ offer, cost: costOf(offer, roomiest, options), tie: options.random() }))
    .sort((a, b) => a.cost - b.cost || a.tie - b.tie)
    .map(({ offer }) => offer);
}

/** Whether this offer ranks before any that needs a pull, refusals aside. */
export function beatsAnyPull(offer: Offer): boolean {
  return offer.imageLocal && ownCost(offer) + COST.fill < COST.imageMissing;
}

function costOf(offer: Offer, roomiestMb: number, options: RankOptions): number {
  const room = offer.freeAfter.memoryMb / roomiestMb;
  return (
    ownCost(offer) +
    COST.refusal * (options.refusals?.(offer.hostNumber) ?? 0) +
    COST.fill * inSteps(options.strategy === "pack" ? room : 1 - room)
  );
}

/** Computes the part of the cost that depends neither on other offers nor on refusals. */
function ownCost(offer: Offer): number {
  return (
    COST.appMachine * Math.max(0, offer.appMachines) +
    (offer.imageLocal ? 0 : COST.imageMissing) +
    COST.load * inSteps(offer.load) +
    COST.inFlight * clamp(offer.inFlight, MAX_IN_FLIGHT) +
    (offer.warmVms > 0 ? 0 : COST.notWarm)
  );
}

function inSteps(value: number): number {
  return Math.round(clamp(value, 1) * STEPS) / STEPS;
}

/** Limits a value to 0 to `max`. NaN counts as `max`, so that it is never preferred. */
function clamp(value: number, max: number): number {
  return value >= 0 ? Math.min(value, max) : value < 0 ? 0 : max;
}
