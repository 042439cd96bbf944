import type { Outcome } from "../auctions/auction.ts";
import type { Auctioneer, AuctionWatch } from "../auctions/auctioneer.ts";
import type { Bid, Offer } from "../auctions/offer.ts";
import { rank } from "../auctions/rank.ts";
import type { Hosts } from "../hosts/hosts.ts";
import { claimRefused, noOffers, queueFull, storedTooLate } from "./faults.ts";
import { Recent } from "./recent.ts";
import type { Living, Reservation, ReservationStore } from "./reservation-store.ts";

/** Why holds are let go: for the metric. */
export type ReleaseCause = "outbid" | "released" | "expired" | "failed";

/** Told of what happens to reservations, for traces and metrics. */
export interface ReservationObserver {
  auction(bid: Bid): AuctionWatch;
  letGo(holds: number, cause: ReleaseCause): void;
  /** A host refused an award; `leftOut`: so often that it is left out for a while. */
  refused(leftOut: boolean): void;
  /** A round of sweeping has ended so many reservations. */
  swept(reservations: number): void;
}

/** The measures of {@link Reservations}. */
export interface ReservationLimits {
  /** How long a reservation lives unless it is claimed. */
  readonly ttlMs: number;
  /** Auctions at once; more are refused. */
  readonly auctions: number;
  /** Offers kept of an auction: the winner and its runners-up. The others are let go at once. */
  readonly kept: number;
}

/** Enough for a burst that takes seconds to work off, and little enough that nobody waits for a bid in vain. */
export const MAX_AUCTIONS = 2_000;
/** The winner and two runners-up: a third refusal in a row says that a new auction knows better. */
export const KEPT_OFFERS = 3;
/** Expired reservations ended in one round. */
const SWEEP_BATCH = 200;

/** What is asked of {@link Reservations.reserve}. */
export interface ReserveRequest {
  readonly bid: Bid;
  /** Hosts not to ask. */
  readonly excluded: ReadonlySet<number>;
  /** Who claims the best offer with it. Absent: nobody yet. */
  readonly claimant?: string;
}

/** Makes, claims and ends reservations. */
export class Reservations {
  readonly #hosts: Hosts;
  readonly #auctioneer: Auctioneer;
  readonly #store: ReservationStore;
  readonly #observer: ReservationObserver;
  readonly #random: () => number;
  readonly #limits: ReservationLimits;
  readonly #running = new Map<string, Promise<Living>>();
  readonly #recent: Recent;

  constructor(
    parts: { hosts: Hosts; auctioneer: Auctioneer; store: ReservationStore; observer: ReservationObserver },
    random: () => number,
    monotonicMs: () => number,
    limits: ReservationLimits,
  ) {
    this.#hosts = parts.hosts;
    this.#auctioneer = parts.auctioneer;
    this.#store = parts.store;
    this.#observer = parts.observer;
    this.#random = random;
    this.#limits = limits;
    this.#recent = new Recent(limits.ttlMs, monotonicMs);
  }

  /** Auctions that run now. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Holds an auction and stores the reservation, claimed when there is a claimant; or returns the one with this id, if it lives, claimed
   * by whoever has it. Goes on to its end when the caller goes, which is a second or two at most: the caller may ask again for what it has found.
   */
  reserve(request: ReserveRequest): Promise<Living> {
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

  /** Claims a reservation for the offer of one host. */
  async claim(id: string, claimant: string, hostNumber: number): Promise<Offer> {
    const answer = await this.#store.claim(id, claimant, hostNumber);
    if (answer.kind !== "claimed") throw claimRefused(answer.kind, id, hostNumber);
    return answer.offer;
  }

  /** Ends a reservation and lets all its holds go, except the winner's. `refused`: hosts whose offer turned out to be worth nothing. */
  async release(id: string, winner: number | undefined, refused: readonly number[] = []): Promise<void> {
    for (const number of refused) this.#observer.refused(this.#hosts.refusals.note(number));
    const hosts = new Set(this.#recent.take(id));
    try {
      const stored = await this.#store.remove(id);
      for (const offer of stored?.offers ?? []) hosts.add(offer.hostNumber);
    } finally {
      // Also when Redis is away: what this replica knows, it can act on.
      if (winner !== undefined) hosts.delete(winner);
      this.#letGo(id, hosts, "released");
    }
  }

  /**
   * Ends reservations that nobody claimed or released in time, so that holds go a little sooner than by the hosts' own
   * clocks. The host of a claimed offer keeps its hold: the award may be on its way.
   *
   * @returns how many it ended
   */
  async sweep(): Promise<number> {
    const expired = await this.#store.sweep(SWEEP_BATCH);
    for (const { reservation, claimedHost } of expired) {
      this.#recent.take(reservation.id);
      const hosts = reservation.offers.map((offer) => offer.hostNumber).filter((n) => n !== claimedHost);
      this.#letGo(reservation.id, hosts, "expired");
    }
    this.#observer.swept(expired.length);
    return expired.length;
  }

  /** The reservations that live, up to `limit`, by deadline. */
  list(limit: number): ReturnType<ReservationStore["list"]> {
    return this.#store.list(limit);
  }

  async #reserve(request: ReserveRequest): Promise<Living> {
    const { bid } = request;
    // Redis is asked first: it knows whether this is a repeat, what time it is, and whether asking hosts makes sense.
    const opened = await this.#store.open(bid.reservationId);
    if (opened.kind === "lives") return living(opened);
    const watch = this.#observer.auction(bid);
    const outcome = await this.#auctioneer.run(
      { bid, excluded: request.excluded, holdMs: this.#limits.ttlMs },
      watch,
    );
    const ranked = rank(outcome.offers, {
      strategy: bid.placement.strategy,
      refusals: (number) => this.#hosts.refusals.score(number),
      random: this.#random,
    });
    watch.ended(outcome, ranked[0]?.hostNumber);
    if (ranked.length === 0) {
      const excluded = [...request.excluded].filter((number) => this.#hosts.get(number)).length;
      throw noOffers(bid, outcome, this.#hosts.survey(bid), excluded);
    }
    return this.#keep(request, ranked, outcome, opened.nowMs + this.#limits.ttlMs);
  }

  async #keep(
    { bid, claimant }: ReserveRequest,
    ranked: readonly Offer[],
    outcome: Outcome,
    deadlineMs: number,
  ): Promise<Living> {
    const { reservationId: id, app, resources } = bid;
    const offers = ranked.slice(0, this.#limits.kept);
    const numbers = (some: readonly Offer[]) => some.map((offer) => offer.hostNumber);
    this.#letGo(id, numbers(ranked.slice(this.#limits.kept)), "outbid");
    const reservation: Reservation = { id, offers, hostsAsked: outcome.asked, app, resources, deadlineMs };
    // Before it is stored: if the answer is lost, a release still finds the hosts.
    this.#recent.add(id, numbers(offers));
    const stored = await this.#store.put(reservation, claimant).catch((err: unknown) => {
      this.#abandon(id, offers);
      // It may be stored yet, by a Redis that hangs: then this follows on its heels.
      this.#store.remove(id).catch(() => {});
      throw err;
    });
    if (stored.kind === "stored") {
      const best = offers[0];
      const isClaimed = claimant !== undefined && best !== undefined;
      return { reservation, ...(isClaimed ? { claim: { claimant, hostNumber: best.hostNumber } } : {}) };
    }
    const lives = stored.kind === "lives" ? living(stored) : undefined;
    // Another replica was asked the same at the same time and was faster: its reservation counts, with its hosts.
    const theirs = new Set(numbers(lives?.reservation.offers ?? []));
    this.#abandon(
      id,
      offers.filter((offer) => !theirs.has(offer.hostNumber)),
    );
    if (lives) return lives;
    throw stored.kind === "full" ? queueFull("reservations", stored.limit) : storedTooLate(id);
  }

  #abandon(id: string, offers: readonly Offer[]): void {
    this.#recent.take(id);
    this.#letGo(
      id,
      offers.map((offer) => offer.hostNumber),
      "failed",
    );
  }

  #letGo(id: string, hosts: Iterable<number>, cause: ReleaseCause): void {
    let told = 0;
    for (const number of hosts) {
      const host = this.#hosts.get(number);
      host?.letGo(id);
      if (host) told++;
    }
    if (told > 0) this.#observer.letGo(told, cause);
  }
}

function living({ reservation, claim }: Living): Living {
  return { reservation, ...(claim ? { claim } : {}) };
}
