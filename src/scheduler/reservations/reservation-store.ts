import type { Offer, Resources } from "../auctions/offer.ts";

/** Who holds capacity for whom, until when. */
export interface Reservation {
  readonly id: string;
  /** Best first. */
  readonly offers: readonly Offer[];
  readonly hostsAsked: number;
  /** App of the machine it is for. */
  readonly app: string;
  /** What each offer holds. */
  readonly resources: Resources;
  /**
   * When it ends if nobody claims it, in milliseconds since the epoch by the store's clock. Counted from before the first
   * host was asked, so that a host, whose hold lasts as long from when it was asked, never lets go first.
   */
  readonly deadlineMs: number;
}

/** Who has claimed a reservation, and for the offer of which host. */
export interface Claim {
  readonly claimant: string;
  readonly hostNumber: number;
}

/** A reservation that lives, and who has claimed it, if anybody has. */
export interface Living {
  readonly reservation: Reservation;
  readonly claim?: Claim;
}

/** What the store says when a reservation is about to be made. */
export type Opened =
  | ({ readonly kind: "lives" } & Living)
  /** `nowMs`: the store's time. */
  | { readonly kind: "new"; readonly nowMs: number };

/** What the store says to a new reservation. */
export type Put =
  | { readonly kind: "stored" }
  /** There is one with this id already. */
  | ({ readonly kind: "lives" } & Living)
  /** Its deadline has passed on the way. */
  | { readonly kind: "late" }
  | { readonly kind: "full"; readonly limit: number };

/** What the store says to a claim. */
export type Claimed =
  | { readonly kind: "claimed"; readonly offer: Offer }
  /** Gone, or past its deadline. */
  | { readonly kind: "expired" }
  /** Somebody else has it. */
  | { readonly kind: "taken" }
  /** That host made no offer. */
  | { readonly kind: "unknown" };

/** A reservation past its deadline. */
export interface Expired {
  readonly reservation: Reservation;
  /** Host of the offer that was claimed, if one was. */
  readonly claimedHost: number | undefined;
}

/**
 * Where reservations live, shared by all replicas of a region. Soft state: it may forget everything at any moment. Each
 * method is one atomic step, decides by the store's own clock, and is safe to repeat.
 *
 * Each throws a Fault UNAVAILABLE / `REDIS_UNAVAILABLE` within a second when the store does not answer.
 */
export interface ReservationStore {
  open(id: string): Promise<Opened>;
  /** Stores a new reservation; with a `claimant`, claimed for its best offer. One that lives is left as it is. */
  put(reservation: Reservation, claimant?: string): Promise<Put>;
  claim(id: string, claimant: string, hostNumber: number): Promise<Claimed>;
  /** Removes a reservation and returns it; `undefined` when it is gone. */
  remove(id: string): Promise<Reservation | undefined>;
  /** Removes up to `limit` that are past their deadline, oldest first. Each is returned to one caller only. */
  sweep(limit: number): Promise<readonly Expired[]>;
  /** Those that live, up to `limit`, by deadline; `total` counts them all. */
  list(limit: number): Promise<{ readonly listed: readonly Living[]; readonly total: number }>;
}
