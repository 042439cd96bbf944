import type { ImageRef, Machine, MachineConfig } from "../../machines/machine.ts";
import type { Placement } from "../../regions/placement.ts";

/** What is to be created: valid, defaults filled in, name chosen. */
export interface CreateRequest {
  readonly org: string;
  readonly app: string;
  readonly name: string;
  /** The first region to try; in the request of an award the one that it is for. */
  readonly region: string;
  /** All regions to try, in order. Absent: only the one. */
  readonly regions?: readonly string[];
  /** The region expression as the caller wrote it: what it stands for depends on the api, but not whether a request is the same. */
  readonly regionAsked?: string;
  readonly config: MachineConfig;
  readonly skipLaunch: boolean;
  /** Absent: any host will do. */
  readonly placement?: Placement;
}

/** A host's offer in an auction. */
export interface Offer {
  readonly hostNumber: number;
  readonly hostName: string;
  readonly hostAddress: string;
  /** Decimal: sent back with the award. */
  readonly epoch: string;
}

/** An auction that was held for a create. */
export interface Auction {
  readonly reservationId: string;
  /** Best first. Empty when nobody offered. */
  readonly offers: readonly Offer[];
  /** Host of the offer that the auction itself has claimed. Absent: none. */
  readonly claimedHost?: number;
  /** Its reservation can no longer be claimed, so the offers that are left are worth nothing. */
  readonly isOver: boolean;
  /** Where it was held. Absent: in the request's region. */
  readonly region?: string;
  /** Why the region could not have the machine, when that is settled. */
  readonly refusal?: Refusal;
}

/** Why an auction could not be held, or found nobody. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * How an award went. `asked`: the host has been or is about to be asked, and its answer is not known. `placed`: it has the machine. `refused`: it has
 * not. `lost`: it did not answer, so it may have the machine.
 */
export type Outcome = "asked" | "placed" | "refused" | "lost";

/** An award: a host that was asked for a machine, stored before it is asked. */
export interface Attempt {
  readonly machineId: string;
  readonly reservationId: string;
  readonly offer: Offer;
  readonly outcome: Outcome;
  /** Why it was refused or lost. */
  readonly reason: string;
  /** Where the host is. Absent: in the request's region. */
  readonly region?: string;
}

/** How far a create has come. Plain data, stored after each change; each function here returns the state after one. */
export interface CreateState {
  readonly image?: ImageRef;
  readonly auctions: readonly Auction[];
  readonly attempts: readonly Attempt[];
  /** The last view of the machine that its host gave. */
  readonly machine?: Machine;
}

/** Nothing has been done yet. */
export const NOT_BEGUN: CreateState = { auctions: [], attempts: [] };

/** The attempt that has the machine. */
export function placedAttempt(state: CreateState): Attempt | undefined {
  return state.attempts.find((attempt) => attempt.outcome === "placed");
}

/** Attempts whose host may have a machine that nobody wants. */
export function doubtfulAttempts(state: CreateState): readonly Attempt[] {
  return state.attempts.filter((attempt) => attempt.outcome === "lost" || attempt.outcome === "asked");
}

/** What a host says that has another machine of an app whose machines are to be apart: it has done nothing wrong. */
export const APP_PRESENT = "APP_PRESENT";

/** Numbers of the hosts whose offer in an auction turned out to be worth nothing. */
export function refusals(state: CreateState, reservationId: string): readonly number[] {
  return state.attempts
    .filter((attempt) => attempt.reservationId === reservationId)
    .filter(({ outcome }) => outcome === "refused" || outcome === "lost")
    .filter(({ reason }) => reason !== APP_PRESENT)
    .map((attempt) => attempt.offer.hostNumber);
}

/** The regions that a create may try, in order. */
export function candidates(request: Pick<CreateRequest, "region" | "regions">): readonly string[] {
  return request.regions ?? [request.region];
}

/** Where a reservation was made. */
export function regionOf(state: CreateState, reservationId: string, request: CreateRequest): string {
  const auction = state.auctions.find((each) => each.reservationId === reservationId);
  return auction?.region ?? request.region;
}

/** An auction was held in a region; with a refusal, it settled that the machine cannot be there. */
export function withAuction(
  state: CreateState,
  reservationId: string,
  region: string,
  found: Pick<Auction, "offers" | "claimedHost" | "refusal">,
): CreateState {
  const auction = { reservationId, region, ...found, isOver: found.offers.length === 0 };
  return { ...state, auctions: [...state.auctions, auction] };
}

/** The reservation of the last auction can no longer be claimed. */
export function withAuctionOver(state: CreateState): CreateState {
  const last = state.auctions.length - 1;
  return { ...state, auctions: state.auctions.map((a, i) => (i === last ? { ...a, isOver: true } : a)) };
}

/** A host is about to be asked. */
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

/** A host that was asked has answered, or has not. */
export function withOutcome(
  state: CreateState,
  machineId: string,
  outcome: Outcome,
  reason = "",
): CreateState {
  const attempts = state.attempts.map((a) => (a.machineId === machineId ? { ...a, outcome, reason } : a));
  return { ...state, attempts };
}
