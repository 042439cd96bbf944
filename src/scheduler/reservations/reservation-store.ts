import type { Offer, Resources } from "../auctions/offer.ts";

/** The result of an auction. */
export interface Reservation {
  readonly id: string;
  /** Best first. */
  readonly offers: readonly Offer[];
  readonly hostsAsked: number;
  readonly app: string;
  /** What each host holds. */
  readonly resources: Resources;
  /**
   * In milliseconds since the epoch by the store's clock. The TTL counts from before the first bid
   * request, so that no hold, which lasts as long from the request, ends before the reservation.
   */
  readonly deadlineMs: number;
}

/** Who has claimed a reservation, and for the offer of which host. */
export interface Claim {
  readonly claimant: string;
  readonly hostNumber: number;
}

export interface LiveReservation {
  readonly reservation: Reservation;
  readonly claim?: Claim;
}

export interface ExpiredReservation {
  readonly reservation: Reservation;
  readonly claimedHost: number | undefined;
}

export type FindResult =
  | { readonly kind: "live"; readonly live: LiveReservation }
  /** @param nowMs the store's time */
  | { readonly kind: "none"; readonly nowMs: number };

export type PutResult =
  | { readonly kind: "stored" }
  /** One with this id is live already. */
  | { readonly kind: "live"; readonly live: LiveReservation }
  /** The deadline has passed. */
  | { readonly kind: "late" }
  | { readonly kind: "full"; readonly limit: number };

/** A reservation's place in the list of all. */
export type ListPosition = Pick<Reservation, "id" | "deadlineMs">;

export type ClaimResult =
  | { readonly kind: "claimed"; readonly offer: Offer }
  /** Gone, or past its deadline. */
  | { readonly kind: "expired" }
  /** Claimed by another. */
  | { readonly kind: "taken" }
  /** The host made no offer. */
  | { readonly kind: "unknown" };

/**
 * The reservations of a region, shared by all replicas. Soft state: the store may forget everything at
 * any moment. Each method is one atomic step by the store's own clock, and safe to repeat.
 *
 * Each throws a Fault UNAVAILABLE / `REDIS_UNAVAILABLE` within a second when the store does not answer.
 */
export interface ReservationStore {
  find(id: string): Promise<FindResult>;
  /** Stores a reservation unless one with its id is live. A `claimant` claims the best offer. */
  put(reservation: Reservation, claimant?: string): Promise<PutResult>;
  claim(id: string, claimant: string, hostNumber: number): Promise<ClaimResult>;
  /** Removes a reservation and returns it; undefined when it is gone. */
  remove(id: string): Promise<Reservation | undefined>;
  /** Removes up to `limit` expired ones, oldest first. Returns each to one caller only. */
  expire(limit: number): Promise<readonly ExpiredReservation[]>;
  /** Returns up to `limit` live ones by deadline, from behind a position, and the number of all. */
  list(
    limit: number,
    after?: ListPosition,
  ): Promise<{ readonly listed: readonly LiveReservation[]; readonly total: number }>;
}
