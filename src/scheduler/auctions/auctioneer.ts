import type { Clock } from "../../lib/runtime/clock.ts";
import type { Answer, AttachedHost, HostInfo } from "../hosts/attached-host.ts";
import type { Hosts } from "../hosts/hosts.ts";
import { Auction, type AuctionLimits, type Outcome, type Step } from "./auction.ts";
import type { Bid } from "./offer.ts";

/** Calls `fn` in `ms` milliseconds, unless the answer is called before. */
export type After = (ms: number, fn: () => void) => () => void;

/** Told of what happens in one auction, for its trace and the metrics. */
export interface AuctionWatch {
  /** A host is asked. Returns the traceparent that goes with the bid; empty for none. */
  asked(host: HostInfo): string;
  /** A host has answered; `late` after the auction was over. */
  answered(host: HostInfo, answer: Answer, late: boolean): void;
  /** It is over; `winner` is the number of the host ranked first. */
  ended(outcome: Outcome, winner: number | undefined): void;
}

/** What one auction is about. */
export interface Lot {
  readonly bid: Bid;
  /** Hosts not to ask. */
  readonly excluded: ReadonlySet<number>;
  /** How long hosts are to hold what they offer. */
  readonly holdMs: number;
}

/** Runs auctions among the attached hosts. */
export class Auctioneer {
  readonly #hosts: Hosts;
  readonly #clock: Clock;
  readonly #after: After;
  readonly #random: () => number;
  readonly #limits: AuctionLimits;

  constructor(hosts: Hosts, clock: Clock, after: After, random: () => number, limits: AuctionLimits) {
    this.#hosts = hosts;
    this.#clock = clock;
    this.#after = after;
    this.#random = random;
    this.#limits = limits;
  }

  /**
   * Runs one auction to its end, which comes within the bid window. An offer that arrives later is told to let its hold go.
   *
   * @returns its outcome; whoever offered holds capacity, and it is the caller's to let the losers go
   */
  run(lot: Lot, watch: AuctionWatch): Promise<Outcome> {
    const { bid } = lot;
    const now = () => this.#clock.monotonicMs();
    const supply = this.#hosts.draw(bid, lot.excluded, this.#random);
    const auction = new Auction<AttachedHost>(bid.resources, supply, this.#limits, now());
    return new Promise((resolve) => {
      const timer = new Alarm(this.#after, now, () => follow(auction.woke(now())));
      const follow = (step: Step<AttachedHost> | undefined): void => {
        if (step?.kind === "over") {
          timer.stop();
          resolve(auction.outcome());
        } else if (step) {
          timer.set(step.untilMs);
          for (const host of step.ask) ask(host);
        }
      };
      const ask = (host: AttachedHost): void => {
        const terms = {
          holdMs: lot.holdMs,
          windowMs: this.#limits.windowMs,
          traceparent: watch.asked(host.info),
        };
        const answer = (given: Answer) => hear(host, given);
        if (!host.ask(bid, terms, now(), answer)) answer(LOST);
      };
      const hear = (host: AttachedHost, answer: Answer): void => {
        const step =
          answer.kind === "offer"
            ? auction.offered(host, answer.offer, now())
            : auction.declined(host, answer.decline, now());
        watch.answered(host.info, answer, step === undefined);
        if (step) follow(step);
        else if (answer.kind === "offer") host.letGo(bid.reservationId);
      };
      follow(auction.woke(now()));
    });
  }
}

const LOST: Answer = { kind: "decline", decline: { reason: "lost", largest: undefined } };

/** A timer that is moved often and seldom rings: it is only set anew when the time really changes. */
class Alarm {
  readonly #after: After;
  readonly #now: () => number;
  readonly #ring: () => void;
  #cancel: (() => void) | undefined;
  #atMs = Number.NaN;

  constructor(after: After, now: () => number, ring: () => void) {
    this.#after = after;
    this.#now = now;
    this.#ring = ring;
  }

  set(atMs: number): void {
    if (this.#cancel && this.#atMs === atMs) return;
    this.#cancel?.();
    this.#atMs = atMs;
    // A timer may fire a little early: a whole millisecond, rounded up, is never before the time.
    this.#cancel = this.#after(Math.max(1, Math.ceil(atMs - this.#now())), () => {
      this.#cancel = undefined;
      this.#ring();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
