import type { Clock } from "../../lib/runtime/clock.ts";
import { type Action, Auction, type AuctionLimits, type Candidates, type Outcome } from "./auction.ts";
import { type Answer, type Bid, type BidTerms, DISCONNECTED } from "./offer.ts";

/** Calls `fn` in `ms` milliseconds, unless the returned function is called before. */
export type SetTimer = (ms: number, fn: () => void) => () => void;

/** A host that can be asked for an offer. */
export interface Bidder {
  readonly info: { readonly number: number; readonly name: string };
  /**
   * Sends a bid request. Calls `onAnswer` at most once, however late. Returns false when the host
   * cannot be asked.
   */
  sendBid(bid: Bid, terms: BidTerms, nowMs: number, onAnswer: (answer: Answer) => void): boolean;
  /** Sends the release of a hold. */
  release(reservationId: string): void;
}

/** The hosts that auctions ask. */
export interface Bidders {
  draw(bid: Bid, excluded: ReadonlySet<number>, random: () => number): Candidates<Bidder>;
}

/** Observes one auction, for its trace and the metrics. */
export interface AuctionObserver {
  /** Returns the traceparent to send with the bid request; empty for none. */
  bidSent(host: Bidder["info"]): string;
  /** @param late whether the auction was over */
  answerReceived(host: Bidder["info"], answer: Answer, late: boolean): void;
  /** @param best number of the host ranked first */
  ended(outcome: Outcome, best: number | undefined): void;
}

/** Runs auctions among the attached hosts. */
export class Auctioneer {
  readonly #bidders: Bidders;
  readonly #clock: Clock;
  readonly #setTimer: SetTimer;
  readonly #random: () => number;
  readonly #limits: AuctionLimits;

  constructor(
    bidders: Bidders,
    clock: Clock,
    setTimer: SetTimer,
    random: () => number,
    limits: AuctionLimits,
  ) {
    this.#bidders = bidders;
    this.#clock = clock;
    this.#setTimer = setTimer;
    this.#random = random;
    this.#limits = limits;
  }

  /**
   * Runs one auction, which ends within the bid window. Holds of offers in the outcome are the
   * caller's to release; those of later offers are released here.
   *
   * @param holdMs how long hosts hold what they offer
   */
  run(bid: Bid, excluded: ReadonlySet<number>, holdMs: number, observer: AuctionObserver): Promise<Outcome> {
    const now = () => this.#clock.monotonicMs();
    const candidates = this.#bidders.draw(bid, excluded, this.#random);
    const auction = new Auction<Bidder>(bid.resources, candidates, this.#limits, now());
    return new Promise((resolve) => {
      const timer = new MovableTimer(this.#setTimer, now, () => act(auction.next(now())));
      const act = (action: Action<Bidder> | undefined): void => {
        if (action?.kind === "over") {
          timer.stop();
          resolve(auction.outcome());
        } else if (action) {
          timer.set(action.untilMs);
          for (const host of action.ask) sendBid(host);
        }
      };
      const sendBid = (host: Bidder): void => {
        const terms = {
          holdMs,
          windowMs: this.#limits.windowMs,
          traceparent: observer.bidSent(host.info),
        };
        const onAnswer = (answer: Answer) => receive(host, answer);
        if (!host.sendBid(bid, terms, now(), onAnswer)) onAnswer(DISCONNECTED);
      };
      const receive = (host: Bidder, answer: Answer): void => {
        const action =
          answer.kind === "offer"
            ? auction.offered(host, answer.offer, now())
            : auction.declined(host, answer.decline, now());
        observer.answerReceived(host.info, answer, action === undefined);
        if (action) act(action);
        else if (answer.kind === "offer") host.release(bid.reservationId);
      };
      act(auction.next(now()));
    });
  }
}

/** A timer that is moved often and seldom fires. It is set anew only when its time changes. */
class MovableTimer {
  readonly #setTimer: SetTimer;
  readonly #now: () => number;
  readonly #onTime: () => void;
  #cancel: (() => void) | undefined;
  #atMs = Number.NaN;

  constructor(setTimer: SetTimer, now: () => number, onTime: () => void) {
    this.#setTimer = setTimer;
    this.#now = now;
    this.#onTime = onTime;
  }

  set(atMs: number): void {
    if (this.#cancel && this.#atMs === atMs) return;
    this.#cancel?.();
    this.#atMs = atMs;
    // A timer may fire early by a part of a millisecond: hence rounded up.
    this.#cancel = this.#setTimer(Math.max(1, Math.ceil(atMs - this.#now())), () => {
      this.#cancel = undefined;
      this.#onTime();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
