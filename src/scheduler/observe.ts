import { type Context, context, type Span, trace } from "@opentelemetry/api";
import { activeTraceparent, attribute, tracer } from "../lib/otel/tracing.ts";
import type { Outcome } from "./auctions/auction.ts";
import type { AuctionWatch } from "./auctions/auctioneer.ts";
import type { Bid } from "./auctions/offer.ts";
import type { Answer, HostInfo } from "./hosts/attached-host.ts";
import {
  askedPerAuction,
  auctionSeconds,
  awardRefusals,
  declines,
  inBackoff,
  offersPerAuction,
  released,
  sweeps,
  sweptReservations,
} from "./metrics.ts";
import type { ReservationObserver } from "./reservations/reservations.ts";

/** Turns auctions into spans and metrics. */
export const observer: ReservationObserver = {
  auction: (bid) => new Watch(bid),
  letGo: (holds, cause) => released.inc({ cause }, holds),
  refused(leftOut) {
    awardRefusals.inc();
    if (leftOut) inBackoff.inc();
  },
  swept(count) {
    sweeps.inc();
    sweptReservations.inc(count);
  },
};

/** `scheduler.auction`, with a `scheduler.bid` below it for each host asked; the host's own span hangs below that. */
class Watch implements AuctionWatch {
  readonly #started = performance.now();
  readonly #span: Span;
  readonly #context: Context;
  readonly #bids = new Map<number, Span>();
  #traceparent: string | undefined;

  constructor(bid: Bid) {
    const attributes = {
      [attribute.reservationId]: bid.reservationId,
      [attribute.imageDigest]: bid.imageDigest,
    };
    this.#span = tracer().startSpan("scheduler.auction", { attributes });
    // Kept: answers, and the bids that follow from them, arrive in the context of the host's stream.
    this.#context = trace.setSpan(context.active(), this.#span);
  }

  asked(host: HostInfo): string {
    // Nobody listens: the trace goes on, but a span per host would be wasted.
    if (!this.#span.isRecording()) {
      this.#traceparent ??= context.with(this.#context, activeTraceparent);
      return this.#traceparent;
    }
    const attributes = { [attribute.hostId]: host.number, "windhover.host.name": host.name };
    const bid = tracer().startSpan("scheduler.bid", { attributes }, this.#context);
    this.#bids.set(host.number, bid);
    return context.with(trace.setSpan(this.#context, bid), activeTraceparent);
  }

  answered(host: HostInfo, answer: Answer, late: boolean): void {
    if (late) {
      if (answer.kind === "offer") released.inc({ cause: "late" });
      return;
    }
    const said = answer.kind === "offer" ? "offer" : answer.decline.reason;
    this.#bids.get(host.number)?.setAttribute("windhover.bid.answer", said).end();
    this.#bids.delete(host.number);
  }

  ended(outcome: Outcome, winner: number | undefined): void {
    for (const bid of this.#bids.values()) bid.setAttribute("windhover.bid.answer", "none").end();
    this.#bids.clear();
    let declined = 0;
    for (const [reason, count] of outcome.declines) {
      declines.inc({ reason }, count);
      declined += count;
    }
    const { asked, offers } = outcome;
    const ms = performance.now() - this.#started;
    auctionSeconds.observe({ outcome: offers.length > 0 ? "offers" : "none" }, ms / 1_000);
    offersPerAuction.observe(offers.length);
    askedPerAuction.observe(asked);
    this.#span.setAttributes({
      [attribute.bidsAsked]: asked,
      [attribute.bidsReceived]: offers.length,
      "windhover.auction.declines": declined,
      "windhover.auction.image_local": offers.some((o) => o.hostNumber === winner && o.imageLocal),
      ...(winner === undefined ? {} : { "windhover.auction.winner": winner }),
    });
    this.#span.end();
  }
}
