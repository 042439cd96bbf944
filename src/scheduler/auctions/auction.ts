import { closer, type Decline, type DeclineReason, type Offer, type Resources } from "./offer.ts";
import { beatsAnyPull } from "./rank.ts";

/** Limits of an auction. ADR 10 has the reasons for their values. */
export interface AuctionLimits {
  /** Hosts asked at first. Each widening asks as many as were asked before. */
  readonly sample: number;
  /** Hosts asked at most. Each costs up to three messages: bid, answer, release. */
  readonly maxAsked: number;
  /** Offers that are enough: one to award, and a runner-up. */
  readonly enoughOffers: number;
  /** When the auction ends at the latest. */
  readonly windowMs: number;
  /** How long it waits for an offer that beats any pull once it has enough offers. */
  readonly betterOfferMs: number;
}

export const AUCTION_LIMITS: AuctionLimits = {
  sample: 3,
  maxAsked: 128,
  enoughOffers: 2,
  windowMs: 150,
  betterOfferMs: 5,
};

/** What to do next: ask hosts, if any, and call `next` at `untilMs` unless a host answers first. */
export type Action<H> =
  | { readonly kind: "wait"; readonly ask: readonly H[]; readonly untilMs: number }
  | { readonly kind: "over" };

export interface Outcome {
  /** In order of arrival. All hold capacity. */
  readonly offers: readonly Offer[];
  readonly asked: number;
  readonly declines: ReadonlyMap<DeclineReason, number>;
  /** Of what the declining hosts could offer, what comes closest to the request. */
  readonly nearest: Resources | undefined;
}

/** The hosts that an auction may ask. Gives each at most once. */
export interface Candidates<H> {
  take(count: number, onlyLikely: boolean): readonly H[];
}

/**
 * Decides whom to ask, how long to wait and when an auction is over. Has neither clock nor streams:
 * callers pass in events with their monotonic time and carry out the returned action.
 *
 *     ask a sample ──► enough offers, one of which beats any pull ──────────────────► over
 *        ▲    │──────► enough offers ──► 5 ms have passed or all have answered ─────► over
 *        │    │                              │ all have a machine of the app, for the first time
 *        ├────┼────────── ask as many again ◄┘
 *        │    │──────► too few, and all have answered or a third of the window has passed
 *        └────┼────────── ask as many again, up to `maxAsked`
 *             └──────► no host left to ask or to wait for, or the window has passed ► over
 */
export class Auction<H> {
  readonly #needed: Resources;
  readonly #candidates: Candidates<H>;
  readonly #limits: AuctionLimits;
  readonly #endMs: number;
  readonly #pending = new Set<H>();
  readonly #offers: Offer[] = [];
  readonly #declines = new Map<DeclineReason, number>();
  #nearest: Resources | undefined;
  #asked = 0;
  #widenMs: number;
  #enoughMs = Number.POSITIVE_INFINITY;
  #hasAskedAgain = false;
  #over = false;

  constructor(needed: Resources, candidates: Candidates<H>, limits: AuctionLimits, nowMs: number) {
    this.#needed = needed;
    this.#candidates = candidates;
    this.#limits = limits;
    this.#endMs = nowMs + limits.windowMs;
    this.#widenMs = nowMs;
  }

  /** Begins the auction, or goes on after a wait. */
  next(nowMs: number): Action<H> {
    if (nowMs >= this.#endMs) return this.#end("timeout");
    if (this.#offers.length >= this.#limits.enoughOffers) return this.#decide(nowMs);
    const ask = this.#pending.size === 0 || nowMs >= this.#widenMs ? this.#widen(nowMs) : [];
    return this.#pending.size === 0 ? this.#end() : this.#wait(ask, this.#widenMs);
  }

  /** Takes an offer. Returns undefined when the host was not asked, has answered, or is too late. */
  offered(host: H, offer: Offer, nowMs: number): Action<H> | undefined {
    if (this.#over || !this.#pending.delete(host)) return undefined;
    this.#offers.push(offer);
    if (this.#offers.length === this.#limits.enoughOffers)
      this.#enoughMs = nowMs + this.#limits.betterOfferMs;
    return this.next(nowMs);
  }

  /** Takes a decline. Returns undefined as {@link offered} does. */
  declined(host: H, decline: Decline, nowMs: number): Action<H> | undefined {
    if (this.#over || !this.#pending.delete(host)) return undefined;
    this.#count(decline.reason);
    const { largest } = decline;
    if (largest) this.#nearest = this.#nearest ? closer(this.#needed, this.#nearest, largest) : largest;
    return this.next(nowMs);
  }

  /** Returns the outcome so far, final once the auction is over. */
  outcome(): Outcome {
    return {
      offers: this.#offers,
      asked: this.#asked,
      declines: this.#declines,
      nearest: this.#nearest,
    };
  }

  /** Ends an auction that has enough offers, unless a better one is worth waiting or asking for. */
  #decide(nowMs: number): Action<H> {
    if (this.#offers.some(beatsAnyPull)) return this.#end();
    if (this.#pending.size > 0 && nowMs < this.#enoughMs) return this.#wait([], this.#enoughMs);
    if (this.#hasAskedAgain || this.#offers.some((offer) => offer.appMachines <= 0)) return this.#end();
    // Hosts that have the image are asked first, and may have it because they run the app.
    this.#hasAskedAgain = true;
    const ask = this.#widen(nowMs);
    this.#enoughMs = nowMs + this.#limits.betterOfferMs;
    return this.#pending.size === 0 ? this.#end() : this.#wait(ask, this.#enoughMs);
  }

  #widen(nowMs: number): readonly H[] {
    const { sample, maxAsked, windowMs } = this.#limits;
    const more = Math.min(this.#asked === 0 ? sample : this.#asked, maxAsked - this.#asked);
    // For a mere runner-up, hosts that seem full are not worth the messages.
    const hosts = this.#candidates.take(more, this.#offers.length > 0);
    for (const host of hosts) this.#pending.add(host);
    this.#asked += hosts.length;
    this.#widenMs = hosts.length === 0 ? Number.POSITIVE_INFINITY : nowMs + windowMs / 3;
    return hosts;
  }

  #wait(ask: readonly H[], untilMs: number): Action<H> {
    return { kind: "wait", ask, untilMs: Math.min(untilMs, this.#endMs) };
  }

  #end(pendingAre?: DeclineReason): Action<H> {
    this.#over = true;
    if (pendingAre) for (const _ of this.#pending) this.#count(pendingAre);
    return { kind: "over" };
  }

  #count(reason: DeclineReason): void {
    this.#declines.set(reason, (this.#declines.get(reason) ?? 0) + 1);
  }
}
