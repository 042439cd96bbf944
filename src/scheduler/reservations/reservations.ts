import type { Outcome } from "../auctions/auction.ts";
import type { Bid, Offer } from "../auctions/offer.ts";
import { rank } from "../auctions/rank.ts";
import { type AuctionObserver, type AuctionTools, runAuction } from "../auctions/run-auction.ts";
import type { Hosts } from "../hosts/hosts.ts";
import { claimFault, noOffers, queueFull, storedTooLate } from "./faults.ts";
import { RecentReservations } from "./recent-reservations.ts";
import type { ListPosition, LiveReservation, Reservation, ReservationStore } from "./reservation-store.ts";

export type ReleaseCause = "outbid" | "released" | "expired" | "failed";

/** Observes reservations, for traces and metrics. */
export interface ReservationObserver {
  auctionStarted(bid: Bid): AuctionObserver;
  released(holds: number, cause: ReleaseCause): void;
  /** @param beginsBackoff whether auctions leave the host out from now on */
  awardRefused(beginsBackoff: boolean): void;
  /** One round of expiring reservations has ended. */
  expired(reservations: number): void;
}

export interface ReservationLimits {
  /** How long a reservation is live unless it is claimed. */
  readonly ttlMs: number;
  /** Auctions at once; more are refused. */
  readonly auctions: number;
  /** Offers kept of an auction. The holds of the others are released at once. */
  readonly kept: number;
}

/** Enough for a burst that takes seconds to work off, and few enough that none waits in vain. */
export const MAX_AUCTIONS = 2_000;
/** After a third refusal in a row, a new auction is better. */
export const KEPT_OFFERS = 3;
const EXPIRE_BATCH = 200;

export interface ReserveRequest {
  readonly bid: Bid;
  /** Hosts not to ask. */
  readonly excluded: ReadonlySet<number>;
  /** Claims the best offer. */
  readonly claimant?: string;
}

export interface ReservationParts {
  readonly hosts: Hosts;
  readonly auctions: AuctionTools;
  readonly store: ReservationStore;
  readonly observer: ReservationObserver;
}

export class Reservations {
  readonly #parts: ReservationParts;
  readonly #limits: ReservationLimits;
  readonly #running = new Map<string, Promise<LiveReservation>>();
  readonly #recent: RecentReservations;

  constructor(parts: ReservationParts, limits: ReservationLimits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#recent = new RecentReservations(limits.ttlMs, parts.auctions.clock);
  }

  get running(): number {
    return this.#running.size;
  }

  /**
   * Returns the live reservation with this id, or holds an auction and stores its result. Goes on when
   * the caller is gone, since that is a second or two, and the caller may repeat.
   */
  reserve(request: ReserveRequest): Promise<LiveReservation> {
    const id = request.bid.reservationId;
    const running = this.#running.get(id);
    if (running !== undefined) return running;
    if (this.#running.size >= this.#limits.auctions) {
      return Promise.reject(queueFull("auctions", this.#limits.auctions));
    }
    const reservation = this.#reserve(request).finally(() => this.#running.delete(id));
    this.#running.set(id, reservation);
    return reservation;
  }

  async claim(id: string, claimant: string, hostNumber: number): Promise<Offer> {
    const result = await this.#parts.store.claim(id, claimant, hostNumber);
    if (result.kind !== "claimed") throw claimFault(result.kind, id, hostNumber);
    return result.offer;
  }

  /** Ends a reservation and releases all its holds but that of the awarded host. */
  async release(
    id: string,
    awardedHost: number | undefined,
    refusedHosts: readonly number[] = [],
  ): Promise<void> {
    for (const number of refusedHosts)
      this.#parts.observer.awardRefused(this.#parts.hosts.refusals.add(number));
    const hosts = new Set(this.#recent.take(id));
    try {
      const stored = await this.#parts.store.remove(id);
      for (const offer of stored?.offers ?? []) hosts.add(offer.hostNumber);
    } finally {
      // Also without Redis, as far as this replica remembers.
      if (awardedHost !== undefined) hosts.delete(awardedHost);
      this.#release(id, hosts, "released");
    }
  }

  /**
   * Ends expired reservations, so that holds end a little sooner than by the hosts' clocks. The hold
   * of a claimed offer is kept, because the award may be on its way.
   *
   * @returns how many it ended
   */
  async expire(): Promise<number> {
    const expired = await this.#parts.store.expire(EXPIRE_BATCH);
    for (const { reservation, claimedHost } of expired) {
      this.#recent.take(reservation.id);
      const hosts = numbers(reservation.offers).filter((number) => number !== claimedHost);
      this.#release(reservation.id, hosts, "expired");
    }
    this.#parts.observer.expired(expired.length);
    return expired.length;
  }

  /** Returns up to `limit` live reservations by deadline, from behind a position, and the number of all. */
  list(limit: number, after?: ListPosition): ReturnType<ReservationStore["list"]> {
    return this.#parts.store.list(limit, after);
  }

  async #reserve(request: ReserveRequest): Promise<LiveReservation> {
    const { bid, excluded } = request;
    const { hosts, auctions } = this.#parts;
    // Redis comes first: it knows a repeat, and the time, and whether an auction makes sense.
    const found = await this.#parts.store.find(bid.reservationId);
    if (found.kind === "live") return found.live;
    const observer = this.#parts.observer.auctionStarted(bid);
    const outcome = await runAuction(auctions, bid, excluded, this.#limits.ttlMs, observer);
    const ranked = rank(outcome.offers, {
      strategy: bid.placement.strategy,
      refusals: (number) => hosts.refusals.score(number),
      random: auctions.random,
    });
    observer.ended(outcome, ranked[0]?.hostNumber);
    if (ranked.length === 0) {
      const attached = [...excluded].filter((number) => hosts.get(number)).length;
      throw noOffers(bid, outcome, hosts.summary(bid), attached);
    }
    return this.#keep(request, ranked, outcome, found.nowMs + this.#limits.ttlMs);
  }

  /** Stores the best offers and releases the holds of the others. */
  async #keep(
    { bid, claimant }: ReserveRequest,
    ranked: readonly Offer[],
    outcome: Outcome,
    deadlineMs: number,
  ): Promise<LiveReservation> {
    const { reservationId: id, app, resources } = bid;
    const offers = ranked.slice(0, this.#limits.kept);
    this.#release(id, numbers(ranked.slice(this.#limits.kept)), "outbid");
    const reservation: Reservation = { id, offers, hostsAsked: outcome.asked, app, resources, deadlineMs };
    // Before it is stored: a release still finds the hosts when the answer is lost.
    this.#recent.add(id, numbers(offers));
    const stored = await this.#parts.store.put(reservation, claimant).catch((err: unknown) => {
      this.#releaseFailed(id, offers);
      // A Redis that hangs may store it yet, and then removes it next.
      this.#parts.store.remove(id).catch(() => {});
      throw err;
    });
    if (stored.kind === "stored") {
      const best = offers[0];
      const isClaimed = claimant !== undefined && best !== undefined;
      return { reservation, ...(isClaimed ? { claim: { claimant, hostNumber: best.hostNumber } } : {}) };
    }
    // Another replica has stored a reservation with this id: that one counts, with its hosts.
    const live = stored.kind === "live" ? stored.live : undefined;
    const kept = new Set(numbers(live?.reservation.offers ?? []));
    this.#releaseFailed(
      id,
      offers.filter((offer) => !kept.has(offer.hostNumber)),
    );
    if (live) return live;
    throw stored.kind === "full" ? queueFull("reservations", stored.limit) : storedTooLate(id);
  }

  #releaseFailed(id: string, offers: readonly Offer[]): void {
    this.#recent.take(id);
    this.#release(id, numbers(offers), "failed");
  }

  #release(id: string, hosts: Iterable<number>, cause: ReleaseCause): void {
    let sent = 0;
    for (const number of hosts) {
      const host = this.#parts.hosts.get(number);
      host?.release(id);
      if (host) sent++;
    }
    if (sent > 0) this.#parts.observer.released(sent, cause);
  }
}

function numbers(offers: readonly Offer[]): number[] {
  return offers.map((offer) => offer.hostNumber);
}
