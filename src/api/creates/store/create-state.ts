import type { ImageRef, Machine, MachineConfig } from "../../machines/machine.ts";
import type { Offer } from "../../regions/auction.ts";
import type { Placement } from "../../regions/placement.ts";

/** A valid request with its defaults filled in. */
export interface CreateRequest {
  readonly org: string;
  readonly app: string;
  /** Empty until the server has made one. */
  readonly name: string;
  /** The regions to try, in order. */
  readonly regions: readonly string[];
  /** The region expression as the caller wrote it. Apis resolve it differently. */
  readonly regionAsked: string;
  readonly config: MachineConfig;
  readonly skipLaunch: boolean;
  /** Absent: proxies send it requests at once. */
  readonly cordoned?: true;
  /** Absent: any host. */
  readonly placement?: Placement;
  /** Lease that the caller gets on the machine. Absent: none. */
  readonly lease?: { readonly ttlMs: number; readonly owner: string };
}

export interface Auction {
  readonly reservationId: string;
  /** Best first. */
  readonly offers: readonly Offer[];
  /** Host of the offer that the auction has claimed. Absent: none. */
  readonly claimedHost?: number;
  /** Whether its reservation can no longer be claimed. */
  readonly isOver: boolean;
  readonly region: string;
  /** Why the region cannot have the machine. Absent: it may. */
  readonly refusal?: Refusal;
}

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * `asked`: the host is about to be asked or has not answered; `placed`: it has the machine;
 * `refused`: it does not; `in_doubt`: it failed without saying.
 */
export type AwardOutcome = "asked" | "placed" | "refused" | "in_doubt";

/** An award of the machine to a host; stored before the host is asked. */
export interface Attempt {
  readonly machineId: string;
  readonly reservationId: string;
  readonly offer: Offer;
  readonly outcome: AwardOutcome;
  readonly reason: string;
  readonly region: string;
}

export interface CreateState {
  readonly image?: ImageRef;
  readonly auctions: readonly Auction[];
  readonly attempts: readonly Attempt[];
  readonly machine?: Machine;
}

/** Returns the part of an ended create that is kept: the hosts that have, or may have, its machine. */
export function endState({ attempts }: CreateState): CreateState {
  return { auctions: [], attempts: attempts.filter(({ outcome }) => outcome !== "refused") };
}

export const NEW_CREATE: CreateState = { auctions: [], attempts: [] };

/** The reason of a host with another machine of an app that wants distinct hosts. */
export const APP_PRESENT = "APP_PRESENT";

export function placedAttempt(state: CreateState): Attempt | undefined {
  return state.attempts.find((attempt) => attempt.outcome === "placed");
}

/** Attempts whose host may have a machine that the create does not want. */
export function inDoubtAttempts(state: CreateState): readonly Attempt[] {
  return state.attempts.filter(({ outcome }) => outcome === "in_doubt" || outcome === "asked");
}

/** Hosts that did not keep their offer in an auction. */
export function refusingHosts(state: CreateState, reservationId: string): readonly number[] {
  return state.attempts
    .filter((attempt) => attempt.reservationId === reservationId)
    .filter(({ outcome }) => outcome === "refused" || outcome === "in_doubt")
    .filter(({ reason }) => reason !== APP_PRESENT)
    .map((attempt) => attempt.offer.hostNumber);
}

export function withAuction(
  state: CreateState,
  reservationId: string,
  region: string,
  result: Pick<Auction, "offers" | "claimedHost" | "refusal">,
): CreateState {
  const auction = { reservationId, region, ...result, isOver: result.offers.length === 0 };
  return { ...state, auctions: [...state.auctions, auction] };
}

export function withAuctionOver(state: CreateState): CreateState {
  const last = state.auctions.length - 1;
  return { ...state, auctions: state.auctions.map((a, i) => (i === last ? { ...a, isOver: true } : a)) };
}

export function withAttempt(
  state: CreateState,
  machineId: string,
  reservationId: string,
  region: string,
  offer: Offer,
): CreateState {
  const attempt: Attempt = { machineId, reservationId, region, offer, outcome: "asked", reason: "" };
  return { ...state, attempts: [...state.attempts, attempt] };
}

export function withOutcome(
  state: CreateState,
  machineId: string,
  outcome: AwardOutcome,
  reason = "",
): CreateState {
  const attempts = state.attempts.map((a) => (a.machineId === machineId ? { ...a, outcome, reason } : a));
  return { ...state, attempts };
}
