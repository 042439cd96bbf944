import type { Clock } from "../../lib/runtime/clock.ts";
import { type Action, Auction, type AuctionLimits, type Candidates, type Outcome } from "./auction.ts";
import { type Answer, type Bid, type BidTerms, DISCONNECTED } from "./offer.ts";

/** Calls `fn` in `ms` milliseconds, unless the returned function is called before. */
export type SetTimer = (ms: number, fn: () => void) => () => void;

export interface Bidder {
  readonly info: { readonly number: number; readonly name: string };
  /**
   * Sends a bid request. Calls `onAnswer` at most once, however late. Returns false when the host
   * cannot be asked.
   */
  sendBid(bid: Bid, terms: BidTerms, onAnswer: (answer: Answer) => void): boolean;
  release(reservationId: string): void;
}

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

export interface AuctionTools {
  readonly bidders: Bidders;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly limits: AuctionLimits;
}

/**
 * Runs one auction, which ends within the bid window. Holds of offers in the outcome are the caller's
 * to release; those of later offers are released here.
 *
 * @param holdMs how long hosts hold what they offer
 */
export function runAuction(
  { bidders, clock, setTimer, random, limits }: AuctionTools,
  bid: Bid,
  excluded: ReadonlySet<number>,
  holdMs: number,
  observer: AuctionObserver,
): Promise<Outcome> {
  const now = () => clock.monotonicMs();
  const candidates = bidders.draw(bid, excluded, random);
  const auction = new Auction<Bidder>(bid.resources, candidates, limits, now());
  return new Promise((resolve) => {
    let timerMs = Number.NaN;
    let cancelTimer = (): void => {};
    /** Moves the timer, which happens often, and only when its time changes. */
    const wakeAt = (atMs: number): void => {
      if (atMs === timerMs) return;
      cancelTimer();
      timerMs = atMs;
      // A timer may fire early by a part of a millisecond: hence rounded up.
      cancelTimer = setTimer(Math.max(1, Math.ceil(atMs - now())), () => {
        timerMs = Number.NaN;
        act(auction.next(now()));
      });
    };
    const act = (action: Action<Bidder>): void => {
      if (action.kind === "over") {
        cancelTimer();
        resolve(auction.outcome());
      } else {
        wakeAt(action.untilMs);
        for (const host of action.ask) sendBid(host);
      }
    };
    const sendBid = (host: Bidder): void => {
      const terms = { holdMs, windowMs: limits.windowMs, traceparent: observer.bidSent(host.info) };
      const onAnswer = (answer: Answer) => receive(host, answer);
      if (!host.sendBid(bid, terms, onAnswer)) onAnswer(DISCONNECTED);
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
