import type { ImageRef, Machine, MachineConfig } from "./machine.ts";
import type { Placement } from "./placement.ts";

/** What is to be created: valid, defaults filled in, name chosen. */
export interface CreateRequest {
  readonly org: string;
  readonly app: string;
  readonly name: string;
  readonly region: string;
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
  /** Its reservation can no longer be claimed, so the offers that are left are worth nothing. */
  readonly isOver: boolean;
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

/** Numbers of the hosts whose offer in an auction turned out to be worth nothing. */
export function refusals(state: CreateState, reservationId: string): readonly number[] {
  return state.attempts
    .filter((attempt) => attempt.reservationId === reservationId)
    .filter((attempt) => attempt.outcome === "refused" || attempt.outcome === "lost")
    .map((attempt) => attempt.offer.hostNumber);
}

/** An auction was held. */
export function withAuction(
  state: CreateState,
  reservationId: string,
  offers: readonly Offer[],
): CreateState {
  return { ...state, auctions: [...state.auctions, { reservationId, offers, isOver: offers.length === 0 }] };
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
  offer: Offer,
): CreateState {
  const attempt: Attempt = { machineId, reservationId, offer, outcome: "asked", reason: "" };
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
