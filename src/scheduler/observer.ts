import { type Context, context, type Span, trace } from "@opentelemetry/api";
import { Histogram } from "prom-client";
import { counter, registry, secondsHistogram } from "../lib/otel/metrics.ts";
import { activeTraceparent, attribute, tracer } from "../lib/otel/tracing.ts";
import type { Outcome } from "./auctions/auction.ts";
import type { Answer, Bid } from "./auctions/offer.ts";
import type { AuctionObserver, Bidder } from "./auctions/run-auction.ts";
import type { ReservationObserver } from "./reservations/reservations.ts";

/** Up to the bid window, 150 ms by default, and beyond. */
const AUCTION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10,
];

const auctionSeconds = secondsHistogram(
  "windhover_auction_duration_seconds",
  "Duration of auctions, from the first bid to the ranking, by whether there were offers or none.",
  ["outcome"],
  AUCTION_BUCKETS,
);
const offersPerAuction = new Histogram({
  name: "windhover_auction_offers",
  help: "Offers in time per auction.",
  buckets: [0, 1, 2, 3, 4, 8, 16, 32, 64, 128],
  registers: [registry],
});
const askedPerAuction = new Histogram({
  name: "windhover_auction_hosts_asked",
  help: "Hosts asked per auction.",
  buckets: [0, 1, 2, 4, 8, 16, 32, 64, 128],
  registers: [registry],
});
const declines = counter(
  "windhover_auction_declines_total",
  "Hosts that were asked and made no offer, by reason.",
  ["reason"],
);
const released = counter("windhover_holds_released_total", "Releases of holds sent to hosts, by cause.", [
  "cause",
]);
const awardRefusals = counter(
  "windhover_awards_refused_total",
  "Awards that a host refused or did not answer, as apis report them.",
);
const backoffs = counter(
  "windhover_host_backoffs_total",
  "Backoffs of hosts that refused awards repeatedly.",
);
const expiryRounds = counter(
  "windhover_reservation_expiry_rounds_total",
  "Rounds of looking for reservations past their deadline.",
);
const expiredReservations = counter(
  "windhover_reservations_expired_total",
  "Reservations that ended at their deadline.",
);
for (const outcome of ["offers", "none"]) auctionSeconds.zero({ outcome });
for (const cause of ["outbid", "released", "expired", "failed", "late"]) released.inc({ cause }, 0);

/** Turns auctions and reservations into spans and metrics. */
export const observer: ReservationObserver = {
  auctionStarted: (bid) => new AuctionSpans(bid),
  released: (holds, cause) => released.inc({ cause }, holds),
  awardRefused(beginsBackoff) {
    awardRefusals.inc();
    if (beginsBackoff) backoffs.inc();
  },
  expired(reservations) {
    expiryRounds.inc();
    expiredReservations.inc(reservations);
  },
};

/** The span `scheduler.auction`, with a `scheduler.bid` below it for each host asked. */
class AuctionSpans implements AuctionObserver {
  readonly #started = performance.now();
  readonly #span: Span;
  readonly #context: Context;
  readonly #bids = new Map<number, Span>();
  #traceparent: string | undefined;

  constructor({ reservationId, imageDigest }: Bid) {
    const attributes = { [attribute.reservationId]: reservationId, [attribute.imageDigest]: imageDigest };
    this.#span = tracer().startSpan("scheduler.auction", { attributes });
    // Answers, and the bids that follow from them, arrive in the context of a host's stream.
    this.#context = trace.setSpan(context.active(), this.#span);
  }

  bidSent(host: Bidder["info"]): string {
    // A span per host would be wasted: all bids share one traceparent.
    if (!this.#span.isRecording()) {
      this.#traceparent ??= context.with(this.#context, activeTraceparent);
      return this.#traceparent;
    }
    const attributes = { [attribute.hostId]: host.number, [attribute.hostName]: host.name };
    const bid = tracer().startSpan("scheduler.bid", { attributes }, this.#context);
    this.#bids.set(host.number, bid);
    return context.with(trace.setSpan(this.#context, bid), activeTraceparent);
  }

  answerReceived(host: Bidder["info"], answer: Answer, late: boolean): void {
    if (late) {
      if (answer.kind === "offer") released.inc({ cause: "late" });
      return;
    }
    this.#endBid(host.number, answer.kind === "offer" ? "offer" : answer.decline.reason);
  }

  ended(outcome: Outcome, best: number | undefined): void {
    for (const number of this.#bids.keys()) this.#endBid(number, "none");
    let declined = 0;
    for (const [reason, count] of outcome.declines) {
      declines.inc({ reason }, count);
      declined += count;
    }
    const { asked, offers } = outcome;
    const ms = performance.now() - this.#started;
    const label = offers.length > 0 ? "offers" : "none";
    auctionSeconds.observe({ outcome: label }, ms / 1_000, this.#span);
    offersPerAuction.observe(offers.length);
    askedPerAuction.observe(asked);
    this.#span.setAttributes({
      [attribute.bidsAsked]: asked,
      [attribute.bidsReceived]: offers.length,
      "windhover.auction.declines": declined,
      "windhover.auction.image_local": offers.some((o) => o.hostNumber === best && o.imageLocal),
      ...(best === undefined ? {} : { "windhover.auction.winner": best }),
    });
    this.#span.end();
  }

  #endBid(host: number, answer: string): void {
    this.#bids.get(host)?.setAttribute("windhover.bid.answer", answer).end();
    this.#bids.delete(host);
  }
}
