import { closer, type Decline, type DeclineReason, type Offer, type Resources } from "./offer.ts";

/** The measures of an auction. */
export interface AuctionLimits {
  /** Hosts asked at first; as many again with every widening. */
  readonly sample: number;
  /** Hosts asked at most. An auction costs at most three messages for each: bid, answer, release. */
  readonly bound: number;
  /** Offers that are enough: one to win, and runners-up for when it is refused. */
  readonly enough: number;
  /** When it ends whatever is in. */
  readonly windowMs: number;
  /** With enough offers and none that has the image: how long to wait for one that does. A pull costs a thousand times more. */
  readonly settleMs: number;
}

/**
 * What an auction uses unless told otherwise.
 *
 * A sample of 5: messages, three for each host, are most of what an auction costs. With the fewest that can give a winner and two runners-up,
 * one no would cost another round; with 5, three offers are there at once in 99 of 100 auctions when a tenth of the hosts declines although
 * its status let it seem to fit, in 94 when a fifth does. With 8 it would be all of them, for 60 % more messages. An image that a fifth of the
 * fleet has is found by 67 % of auctions instead of 83 %. Of the hosts that have it, those that run the app already are not wanted anyway
 * (see `rank`).
 */
export const AUCTION_LIMITS: AuctionLimits = {
  sample: 5,
  bound: 128,
  enough: 3,
  windowMs: 150,
  settleMs: 5,
};

/** What to do next: ask these hosts (perhaps none) and call `woke` at that time unless something happens before, or stop. */
export type Step<H> =
  | { readonly kind: "wait"; readonly ask: readonly H[]; readonly untilMs: number }
  | { readonly kind: "over" };

/** How an auction ended. */
export interface Outcome {
  /** In order of arrival. All hold capacity. */
  readonly offers: readonly Offer[];
  readonly asked: number;
  /** Hosts that made no offer, by reason. */
  readonly declines: ReadonlyMap<DeclineReason, number>;
  /** Of the declining hosts' room, that which comes closest to what was asked. */
  readonly nearest: Resources | undefined;
}

/** Where hosts to ask come from. Gives each at most once. */
export interface Supply<H> {
  take(count: number, onlyLikely: boolean): readonly H[];
}

/**
 * One auction: whom to ask, whom to wait for, when it is over. Knows neither clock nor streams: it is told what happens
 * and when (on a monotonic clock), and answers what to do.
 *
 *     ask a sample ──► enough offers, one with the image ───────────────────► over
 *        ▲    │──────► enough offers ──► settle, or all have answered ──────► over
 *        │    │──────► too few, and all have answered or a third of the window is gone
 *        └────┼────────── ask as many again, up to the bound
 *             └──────► nobody left to ask or to wait for, or the window over ► over
 */
export class Auction<H> {
  readonly #needed: Resources;
  readonly #supply: Supply<H>;
  readonly #limits: AuctionLimits;
  readonly #endMs: number;
  readonly #pending = new Set<H>();
  readonly #offers: Offer[] = [];
  readonly #declines = new Map<DeclineReason, number>();
  #nearest: Resources | undefined;
  #asked = 0;
  #widenMs: number;
  #settledMs = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(needed: Resources, supply: Supply<H>, limits: AuctionLimits, nowMs: number) {
    this.#needed = needed;
    this.#supply = supply;
    this.#limits = limits;
    this.#endMs = nowMs + limits.windowMs;
    this.#widenMs = nowMs;
  }

  /** Begins, or goes on after a wait. */
  woke(nowMs: number): Step<H> {
    return this.#next(nowMs);
  }

  /** A host offers. `undefined`: of no use, because it was not asked, has answered, or is too late. */
  offered(host: H, offer: Offer, nowMs: number): Step<H> | undefined {
    if (this.#over || !this.#pending.delete(host)) return undefined;
    this.#offers.push(offer);
    if (this.#offers.length === this.#limits.enough) this.#settledMs = nowMs + this.#limits.settleMs;
    return this.#next(nowMs);
  }

  /** A host declines, or can no longer answer. */
  declined(host: H, decline: Decline, nowMs: number): Step<H> | undefined {
    if (this.#over || !this.#pending.delete(host)) return undefined;
    this.#count(decline.reason);
    const { largest } = decline;
    if (largest) this.#nearest = this.#nearest ? closer(this.#needed, this.#nearest, largest) : largest;
    return this.#next(nowMs);
  }

  /** How it stands; final once it is over. */
  outcome(): Outcome {
    return {
      offers: this.#offers,
      asked: this.#asked,
      declines: this.#declines,
      nearest: this.#nearest,
    };
  }

  #next(nowMs: number): Step<H> {
    if (nowMs >= this.#endMs) return this.#end("silent");
    if (this.#offers.length >= this.#limits.enough) {
      const done =
        this.#pending.size === 0 || nowMs >= this.#settledMs || this.#offers.some((o) => o.imageLocal);
      return done ? this.#end() : this.#wait([], this.#settledMs);
    }
    const ask = this.#pending.size === 0 || nowMs >= this.#widenMs ? this.#widen(nowMs) : [];
    return this.#pending.size === 0 ? this.#end() : this.#wait(ask, this.#widenMs);
  }

  #widen(nowMs: number): readonly H[] {
    const { sample, bound, windowMs } = this.#limits;
    const more = Math.min(this.#asked === 0 ? sample : this.#asked, bound - this.#asked);
    // With an offer in hand, only those that are likely to add a runner-up are worth the messages.
    const hosts = this.#supply.take(more, this.#offers.length > 0);
    for (const host of hosts) this.#pending.add(host);
    this.#asked += hosts.length;
    this.#widenMs = hosts.length === 0 ? Number.POSITIVE_INFINITY : nowMs + windowMs / 3;
    return hosts;
  }

  #wait(ask: readonly H[], untilMs: number): Step<H> {
    return { kind: "wait", ask, untilMs: Math.min(untilMs, this.#endMs) };
  }

  #end(pendingAre?: DeclineReason): Step<H> {
    this.#over = true;
    if (pendingAre) for (const _ of this.#pending) this.#count(pendingAre);
    return { kind: "over" };
  }

  #count(reason: DeclineReason): void {
    this.#declines.set(reason, (this.#declines.get(reason) ?? 0) + 1);
  }
}
