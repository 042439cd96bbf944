import { Fault } from "../../../lib/runtime/fault.ts";
import {
  APP_PRESENT,
  type Attempt,
  type Auction,
  type CreateState,
  type Offer,
  placedAttempt,
} from "./create-state.ts";

/** What to do next to get a machine onto a host. */
export type AwardStep =
  | { readonly kind: "placed"; readonly attempt: Attempt }
  /** Ask this host (again): the attempt is stored and its answer unknown. */
  | { readonly kind: "ask"; readonly attempt: Attempt }
  /** Claim the reservation for this offer, then store the attempt. `isClaimed`: the auction has claimed it. */
  | {
      readonly kind: "claim";
      readonly reservationId: string;
      readonly offer: Offer;
      readonly isClaimed: boolean;
    }
  /** Hold an auction; `isFirst` when a refusal to hold it is the region's last word. */
  | {
      readonly kind: "auction";
      readonly region: string;
      readonly reservationId: string;
      readonly excludedHosts: readonly number[];
      readonly isFirst: boolean;
    }
  | { readonly kind: "fail"; readonly fault: Fault };

/** How a host's refusal is to be taken. */
export type Verdict = "refused" | "lost" | "fatal";

/** A hold that is gone says nothing about the room that the host has. */
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
 * Decides the next move of the award: the offers of the auction from the best down, then one more auction without the hosts that refused,
 * then, when some of them only had lost their holds, a last one with those; and all of that in one region after the other. Bounded, so it ends.
 *
 * @param createId makes the reservations' ids, so that a repeat after a crash asks for the same ones
 * @param regions where the machine may be, in order
 */
export function nextAwardStep(createId: string, state: CreateState, regions: readonly string[]): AwardStep {
  const placed = placedAttempt(state);
  if (placed) return { kind: "placed", attempt: placed };
  const asked = state.attempts.find((attempt) => attempt.outcome === "asked");
  if (asked) return { kind: "ask", attempt: asked };
  const auction = state.auctions.at(-1);
  const offer = auction && nextOffer(state, auction);
  if (auction && offer) {
    const isClaimed = auction.claimedHost === offer.hostNumber;
    return { kind: "claim", reservationId: auction.reservationId, offer, isClaimed };
  }
  return nextAuction(createId, state, regions);
}

/** Whether a host that did not take the machine has certainly not got it, may have it, or was asked for something impossible. */
export function judge(fault: Fault): Verdict {
  if (REFUSALS.has(fault.reason)) return "refused";
  if (fault.code === "INVALID_ARGUMENT" || fault.code === "UNIMPLEMENTED") return "fatal";
  // Cancelled, too late, unreachable, or an error of its own: it may have acted before it failed.
  return "lost";
}

/** The best offer of the auction that has not been tried. */
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
  const region = last ? where(last, regions) : (regions[0] ?? "");
  const again = last?.refusal ? undefined : exclusions(state, region, regions);
  if (again) return { kind: "auction", region, reservationId, ...again };
  const next = regions[regions.indexOf(region) + 1];
  if (next !== undefined)
    return { kind: "auction", region: next, reservationId, excludedHosts: [], isFirst: true };
  return { kind: "fail", fault: regions.length > 1 ? nowhere(state, regions) : nobodyTookIt(state) };
}

/** Whom not to ask in the next auction of a region. Undefined: there have been enough. */
function exclusions(state: CreateState, region: string, regions: readonly string[]) {
  const held = new Set(
    state.auctions.filter((each) => where(each, regions) === region).map((each) => each.reservationId),
  );
  const attempts = state.attempts.filter((attempt) => held.has(attempt.reservationId));
  const failed = hosts(attempts);
  if (held.size === 0) return { excludedHosts: [], isFirst: true };
  if (held.size === 1) return { excludedHosts: failed, isFirst: failed.length === 0 };
  const unfit = hosts(attempts.filter((attempt) => !HOLD_GONE.has(attempt.reason)));
  const canRetry = unfit.length < failed.length;
  return held.size === 2 && canRetry ? { excludedHosts: unfit, isFirst: false } : undefined;
}

function where(auction: Auction, regions: readonly string[]): string {
  return auction.region ?? regions[0] ?? "";
}

function hosts(attempts: readonly Attempt[]): number[] {
  return [...new Set(attempts.map((attempt) => attempt.offer.hostNumber))].sort((a, b) => a - b);
}

function nobodyTookIt(state: CreateState): Fault {
  const refused = state.attempts.filter((attempt) => attempt.outcome === "refused");
  const lost = state.attempts.filter((attempt) => attempt.outcome === "lost");
  const facts = {
    hosts_refused: String(refused.length),
    hosts_unreachable: String(lost.length),
    reasons: [...new Set(state.attempts.map((attempt) => attempt.reason))].sort().join(","),
    auctions: String(state.auctions.length),
  };
  if (lost.length > 0 && refused.length === 0) {
    return new Fault(
      "UNAVAILABLE",
      "HOST_UNREACHABLE",
      "no host that offered could be reached; try again",
      facts,
    );
  }
  if (state.attempts.length === 0) {
    return new Fault(
      "UNAVAILABLE",
      "SCHEDULER_UNAVAILABLE",
      "no reservation lived long enough to be used; try again",
      facts,
    );
  }
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "NO_CAPACITY",
    "every host that offered took its offer back; try again in a moment, or ask for less",
    facts,
  );
}

/** The fault of a create that found no place in several regions: every region with its reason. */
function nowhere(state: CreateState, regions: readonly string[]): Fault {
  const refusals = regions.map((region) => {
    const auctions = state.auctions.filter((each) => where(each, regions) === region);
    const known = auctions.findLast((each) => each.refusal)?.refusal;
    const ids = new Set(auctions.map((each) => each.reservationId));
    const attempts = state.attempts.filter((attempt) => ids.has(attempt.reservationId));
    const { reason, message } = known ?? nobodyTookIt({ ...state, auctions, attempts });
    return { region, reason, message };
  });
  const facts = {
    regions: regions.join(","),
    ...Object.fromEntries(refusals.map(({ region, reason }) => [`reason_${region}`, reason])),
  };
  const why = refusals.map(({ region, message }) => `${region}: ${message}`).join("; ");
  // Room may be had by asking for less; a region that cannot be reached only by waiting.
  const isFull = refusals.some(({ reason }) => reason === "NO_CAPACITY");
  const only = new Set(refusals.map(({ reason }) => reason)).size === 1 ? refusals[0]?.reason : undefined;
  return new Fault(
    isFull ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
    isFull ? "NO_CAPACITY" : (only ?? "SCHEDULER_UNAVAILABLE"),
    `no region could have the machine; ${why}`,
    facts,
  );
}
