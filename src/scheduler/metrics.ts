import { Histogram } from "prom-client";
import { counter, gauge, gaugeBy, registry, secondsHistogram } from "../lib/otel/metrics.ts";

/** Auctions end within the bid window, 150 ms by default; the figure to keep to is 5 ms. */
const AUCTION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** How long auctions take. */
export const auctionSeconds = secondsHistogram(
  "windhover_auction_duration_seconds",
  "Duration of auctions, from the first bid to the ranking, by whether there were offers or none.",
  ["outcome"],
  AUCTION_BUCKETS,
);
for (const outcome of ["offers", "none"]) auctionSeconds.zero({ outcome });

/** What auctions come to. */
export const offersPerAuction = new Histogram({
  name: "windhover_auction_offers",
  help: "Offers in time per auction.",
  buckets: [0, 1, 2, 3, 4, 8, 16, 32, 64, 128],
  registers: [registry],
});

/** What auctions cost: up to three messages for each. */
export const askedPerAuction = new Histogram({
  name: "windhover_auction_hosts_asked",
  help: "Hosts asked per auction.",
  buckets: [0, 1, 2, 4, 8, 16, 32, 64, 128],
  registers: [registry],
});

/** Why hosts do not offer. */
export const declines = counter(
  "windhover_auction_declines_total",
  "Hosts that were asked and made no offer, by reason.",
  ["reason"],
);

/** Holds that hosts need not wait for the end of. */
export const released = counter(
  "windhover_holds_released_total",
  "Holds that hosts were told to let go, by cause.",
  ["cause"],
);
for (const cause of ["outbid", "released", "expired", "failed", "late"]) released.inc({ cause }, 0);

/** Offers that were worth nothing. */
export const awardRefusals = counter(
  "windhover_awards_refused_total",
  "Awards that a host refused after its offer, or did not answer, as apis report them.",
);
awardRefusals.inc(0);

/** Hosts that are not to be relied on. */
export const inBackoff = counter(
  "windhover_host_backoffs_total",
  "Times that a host was left out of auctions for a while, because it refused awards repeatedly.",
);
inBackoff.inc(0);

/** What ends reservations that nobody ends. */
export const sweeps = counter(
  "windhover_reservation_sweeps_total",
  "Rounds of looking for reservations past their deadline.",
);
export const sweptReservations = counter(
  "windhover_reservations_expired_total",
  "Reservations that were ended by a sweep, past their deadline.",
);
sweeps.inc(0);
sweptReservations.inc(0);

/** What of an attached host is counted. */
export interface HostView {
  /** What it said last, if it has said how it is. */
  readonly status: { readonly scheduling: string } | undefined;
}

/** What a scheduler is at, as far as it is told when somebody asks. */
export interface SchedulerView {
  readonly hosts: {
    readonly size: number;
    all(): readonly HostView[];
    readonly refusals: { inBackoff(): number };
  };
  readonly reservations: { readonly running: number };
}

/** Exposes what is known now; once per process. */
export function exposeScheduler({ hosts, reservations }: SchedulerView): void {
  gauge("windhover_hosts_attached", "Hosts attached to this replica.", () => hosts.size);
  gaugeBy(
    "windhover_hosts",
    "Hosts attached to this replica, by whether they take machines: open, cordoned, draining.",
    "scheduling",
    () => byScheduling(hosts.all()),
  );
  gauge(
    "windhover_hosts_in_backoff",
    "Hosts that auctions leave out now, because they refused awards repeatedly.",
    () => hosts.refusals.inBackoff(),
  );
  gauge("windhover_auctions_in_progress", "Auctions under way.", () => reservations.running);
}

/** Each word, also where there is no host; a host that has not said is open. */
function byScheduling(hosts: readonly HostView[]): Map<string, number> {
  const counts = new Map([
    ["open", 0],
    ["cordoned", 0],
    ["draining", 0],
  ]);
  for (const { status } of hosts) {
    const scheduling = status?.scheduling ?? "open";
    counts.set(scheduling, (counts.get(scheduling) ?? 0) + 1);
  }
  return counts;
}
