import { closer, type Decline, type DeclineReason, type Offer, type Resources } from "./offer.ts";
import { beatsAnyPull } from "./rank.ts";

/** The measures of an auction. */
export interface AuctionLimits {
  /** Hosts asked at first; as many again with every widening. */
  readonly sample: number;
  /** Hosts asked at most. An auction costs at most three messages for each: bid, answer, release. */
  readonly bound: number;
  /** Offers that are enough: one to win, and a runner-up for when it is refused. */
  readonly enough: number;
  /** When it ends whatever is in. */
  readonly windowMs: number;
  /** With enough offers, and none that beats any pull: how long to wait for one that does. A pull costs a thousand times more. */
  readonly watchMs: number;
}

/**
 * What an auction uses unless told otherwise.
 *
 * A sample of 3 and 2 offers: messages, three for each host asked, are most of what an auction costs. It takes 8 of them when all three offer:
 * 3 bids, 3 answers, 2 releases. What so few are good for, when a tenth (a fifth) of the hosts declines although its status let it seem to fit:
 *
 * - A winner and a runner-up are there without another round in 97 (90) of 100 auctions, a winner in 99.9 (99). 5 hosts and 3 offers would be 99
 *   (94) for 14 messages.
 * - An image that several hosts have is among the offers of 99 (96) of 100 auctions, since two of those hosts are asked first (see `Hosts.draw`); one
 *   that a single host has, in 90 (80), however large the fleet. Asked blindly, 3 hosts find an image that a fifth of the fleet has in 45 (41)
 *   and 5 in 63 (58), and one that a single host of 50 has in 5 and 9.
 * - The better of two hosts drawn at random is nearly as good as the best of five: with ten machines for each of 5,000 hosts the fullest has 12
 *   instead of 11, and 24 if there is no choice.
 *
 * Hosts that have the image do not get everything that is made of it. One of the three comes from the whole fleet, and an auction waits for it when
 * the others are loaded (see `beatsAnyPull`). Of an app only the first machine on a host is preferred there, and while all that offer run the
 * app already, the auction asks on, once. Machines of many apps with one image do gather on the hosts that have it, until these decline or what is
 * in flight there costs more than a pull, which is at 16. Each host that is chosen all the same pulls the image, and is then one more to draw.
 */
export const AUCTION_LIMITS: AuctionLimits = {
  sample: 3,
  bound: 128,
  enough: 2,
  windowMs: 150,
  watchMs: 5,
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
 *     ask a sample ──► enough offers, one of which beats any pull ───────────► over
 *        ▲    │──────► enough offers ──► settle, or all have answered ──────► over
 *        │    │                              │ all have a machine of the app, for the first time
 *        ├────┼────────── ask as many again ◄┘
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
  #hasAskedOn = false;
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
    if (this.#offers.length === this.#limits.enough) this.#settledMs = nowMs + this.#limits.watchMs;
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
    if (this.#offers.length >= this.#limits.enough) return this.#settle(nowMs);
    const ask = this.#pending.size === 0 || nowMs >= this.#widenMs ? this.#widen(nowMs) : [];
    return this.#pending.size === 0 ? this.#end() : this.#wait(ask, this.#widenMs);
  }

  /** With enough offers: over, unless a better one is worth waiting or asking for. */
  #settle(nowMs: number): Step<H> {
    if (this.#offers.some(beatsAnyPull)) return this.#end();
    if (this.#pending.size > 0 && nowMs < this.#settledMs) return this.#wait([], this.#settledMs);
    if (this.#hasAskedOn || this.#offers.some((offer) => offer.appMachines <= 0)) return this.#end();
    // They have the image because they run the app, and were asked for that: an app is to be spread all the same.
    this.#hasAskedOn = true;
    const ask = this.#widen(nowMs);
    this.#settledMs = nowMs + this.#limits.watchMs;
    return this.#pending.size === 0 ? this.#end() : this.#wait(ask, this.#settledMs);
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
