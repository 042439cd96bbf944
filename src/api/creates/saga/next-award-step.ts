import type { Fault } from "../../../lib/faults/fault.ts";
import type { Offer } from "../../regions/auction.ts";
import {
  APP_PRESENT,
  type Attempt,
  type Auction,
  type CreateState,
  placedAttempt,
} from "../store/create-state.ts";
import { noHostFault, noRegionFault } from "./placement-faults.ts";

export type AwardStep =
  | { readonly kind: "placed"; readonly attempt: Attempt }
  /** Ask the host of a stored attempt; a repeat when its answer is not known. */
  | { readonly kind: "ask"; readonly attempt: Attempt }
  | ClaimStep
  | AuctionStep
  | { readonly kind: "fail"; readonly fault: Fault };

/** Claim a reservation for this offer, then store the attempt. */
export interface ClaimStep {
  readonly kind: "claim";
  readonly region: string;
  readonly reservationId: string;
  readonly offer: Offer;
  readonly isClaimed: boolean;
}

export interface AuctionStep {
  readonly kind: "auction";
  readonly region: string;
  readonly reservationId: string;
  readonly excludedHosts: readonly number[];
  /** Whether a refusal of the region is final: no hosts are excluded. */
  readonly isFirst: boolean;
}

/** Whether a host that failed an award has not, may have, or can never have the machine. */
export type FaultClass = "refused" | "in_doubt" | "fatal";

/** Refusals because of the hold. They say nothing about the host's capacity. */
const HOLD_GONE: ReadonlySet<string> = new Set(["HOLD_EXPIRED", "HOLD_AWARDED"]);
const REFUSALS: ReadonlySet<string> = new Set([
  ...HOLD_GONE,
  "WRONG_HOST",
  "DISK_FULL",
  "INSUFFICIENT_CAPACITY",
  "NO_FREE_PORT",
  "HOST_DRAINING",
  APP_PRESENT,
]);

/**
 * Decides the next step of an award. In each region in turn: the offers of an auction from the best
 * down, an auction without the hosts that refused, and a last one with those of them that only had
 * lost their holds. A repeat after a crash uses the same ids of reservations.
 */
export function nextAwardStep(createId: string, state: CreateState, regions: readonly string[]): AwardStep {
  const placed = placedAttempt(state);
  if (placed) return { kind: "placed", attempt: placed };
  const asked = state.attempts.find((attempt) => attempt.outcome === "asked");
  if (asked) return { kind: "ask", attempt: asked };
  const auction = state.auctions.at(-1);
  const offer = auction && nextOffer(state, auction);
  if (auction && offer) {
    const { region, reservationId, claimedHost } = auction;
    return { kind: "claim", region, reservationId, offer, isClaimed: claimedHost === offer.hostNumber };
  }
  return nextAuction(createId, state, regions);
}

export function classify(fault: Fault): FaultClass {
  if (REFUSALS.has(fault.reason)) return "refused";
  if (fault.code === "INVALID_ARGUMENT" || fault.code === "UNIMPLEMENTED") return "fatal";
  // Cancelled, too late, unreachable, or internal: the host may have acted before.
  return "in_doubt";
}

function nextOffer(state: CreateState, auction: Auction): Offer | undefined {
  if (auction.isOver) return undefined;
  const tried = new Set(
    state.attempts.filter((a) => a.reservationId === auction.reservationId).map((a) => a.offer.hostNumber),
  );
  return auction.offers.find((offer) => !tried.has(offer.hostNumber));
}

function nextAuction(createId: string, state: CreateState, regions: readonly string[]): AwardStep {
  const reservationId = `${createId}.${state.auctions.length + 1}`;
  const last = state.auctions.at(-1);
  const region = last?.region ?? regions[0] ?? "";
  const again = last?.refusal ? undefined : exclusions(state, region);
  if (again) return { kind: "auction", region, reservationId, ...again };
  const next = regions[regions.indexOf(region) + 1];
  if (next !== undefined)
    return { kind: "auction", region: next, reservationId, excludedHosts: [], isFirst: true };
  return { kind: "fail", fault: regions.length > 1 ? noRegionFault(state, regions) : noHostFault(state) };
}

/** Returns the hosts to exclude from a region's next auction; undefined after enough auctions. */
function exclusions(state: CreateState, region: string) {
  const held = new Set(
    state.auctions.filter((auction) => auction.region === region).map((auction) => auction.reservationId),
  );
  const attempts = state.attempts.filter((attempt) => held.has(attempt.reservationId));
  const failed = hosts(attempts);
  if (held.size === 0) return { excludedHosts: [], isFirst: true };
  if (held.size === 1) return { excludedHosts: failed, isFirst: failed.length === 0 };
  const unfit = hosts(attempts.filter((attempt) => !HOLD_GONE.has(attempt.reason)));
  const canRetry = unfit.length < failed.length;
  return held.size === 2 && canRetry ? { excludedHosts: unfit, isFirst: false } : undefined;
}

function hosts(attempts: readonly Attempt[]): number[] {
  return [...new Set(attempts.map((attempt) => attempt.offer.hostNumber))].sort((a, b) => a - b);
}
