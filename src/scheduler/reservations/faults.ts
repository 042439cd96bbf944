import { Fault } from "../../lib/faults/fault.ts";
import type { Outcome } from "../auctions/auction.ts";
import type { Bid, DeclineReason, Resources } from "../auctions/offer.ts";
import { describeConstraints } from "../auctions/placement.ts";
import type { HostSummary } from "../hosts/hosts.ts";
import type { ClaimResult } from "./reservation-store.ts";

/** When to repeat a call refused for load: an auction has ended by then. */
const RETRY_MS = 200;

type Facts = Readonly<Record<string, string>>;

/**
 * Explains an auction without an offer: NO_HOSTS when repeating may help, otherwise NO_CAPACITY.
 *
 * @param excluded how many attached hosts the caller has excluded
 */
export function noOffers(bid: Bid, outcome: Outcome, summary: HostSummary, excluded: number): Fault {
  const { asked, nearest } = outcome;
  const declines = [...outcome.declines, ...(excluded > 0 ? [["excluded", excluded] as const] : [])];
  const facts = {
    hosts_attached: String(summary.attached),
    hosts_matching: String(summary.matching),
    ...positive({ closed: summary.closed, in_backoff: summary.inBackoff }),
    hosts_asked: String(asked),
    ...Object.fromEntries(declines.map(([reason, count]) => [`declined_${reason}`, String(count)])),
  };
  if (summary.attached === 0) return noHosts("no host is attached", facts);
  const unmatched = asked === 0 ? noneToAsk(bid, summary, facts) : undefined;
  if (unmatched) return unmatched;
  if (asked === 0 && excluded === 0) return noHosts("no host has sent a message lately", facts);
  if (asked > 0 && !declines.some(([reason]) => isAnswer(reason))) {
    return noHosts(`none of the ${asked} hosts asked has answered`, facts);
  }
  const message = noRoom(bid, outcome);
  return noCapacity(nearest ? `${message}; the largest that would fit is ${describe(nearest)}` : message, {
    ...facts,
    ...resourceFacts("asked", bid.resources),
    ...(nearest ? resourceFacts("largest", nearest) : {}),
  });
}

/** Explains that constraints or operators leave no host to ask; undefined when they do not. */
function noneToAsk(
  { placement }: Bid,
  { attached, matching, closed, inBackoff, silent }: HostSummary,
  facts: Facts,
): Fault | undefined {
  const constraints = describeConstraints(placement);
  if (matching === 0) return noCapacity(`none of the ${attached} hosts attached has ${constraints}`, facts);
  if (silent === matching || closed + inBackoff + silent < matching) return undefined;
  const which = constraints === "" ? "" : ` with ${constraints}`;
  return noCapacity(
    `of the ${matching} hosts${which} none takes machines now: ${closed} cordoned or draining, ${inBackoff} left out for refusing awards`,
    facts,
  );
}

function noRoom({ placement, resources }: Bid, { asked, declines }: Outcome): string {
  const present = declines.get("app_present") ?? 0;
  if (present > 0 && present === asked)
    return `each of the ${asked} hosts asked has a machine of the app already, and distinct hosts were asked for`;
  const constraints = describeConstraints(placement);
  const which = constraints === "" ? "" : ` with ${constraints}`;
  const hosts = asked === 0 ? `no host${which} but the excluded` : `none of the ${asked} hosts${which} asked`;
  return `${hosts} has room for ${describe(resources)}`;
}

export function claimFault(
  kind: Exclude<ClaimResult["kind"], "claimed">,
  id: string,
  hostNumber: number,
): Fault {
  const facts = { reservation_id: id, host_number: String(hostNumber) };
  switch (kind) {
    case "expired":
      return new Fault(
        "FAILED_PRECONDITION",
        "RESERVATION_EXPIRED",
        "the reservation has expired; reserve anew",
        facts,
      );
    case "taken":
      return new Fault("ABORTED", "RESERVATION_CLAIMED", "another claimant has the reservation", facts);
    case "unknown":
      return new Fault("INVALID_ARGUMENT", "OFFER_UNKNOWN", `host ${hostNumber} made no offer`, facts);
  }
}

export function queueFull(what: "auctions" | "reservations", limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "AUCTION_QUEUE_FULL",
    `there are ${limit} ${what} already, which is the limit; try again in a moment`,
    { what, limit: String(limit) },
    { retryAfterMs: RETRY_MS },
  );
}

export function storedTooLate(id: string): Fault {
  return new Fault(
    "UNAVAILABLE",
    "REDIS_UNAVAILABLE",
    "Redis answered after the reservation's deadline",
    { reservation_id: id },
    { retryAfterMs: RETRY_MS },
  );
}

function noCapacity(message: string, facts: Facts): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", message, facts);
}

function noHosts(message: string, facts: Facts): Fault {
  return new Fault("UNAVAILABLE", "NO_HOSTS", message, facts, { retryAfterMs: 1_000 });
}

/** Whether the reason is a host's own. */
function isAnswer(reason: DeclineReason | "excluded"): boolean {
  return reason !== "timeout" && reason !== "disconnected" && reason !== "excluded";
}

function positive(counts: Readonly<Record<string, number>>): Facts {
  return Object.fromEntries(Object.entries(counts).flatMap(([key, n]) => (n > 0 ? [[key, String(n)]] : [])));
}

function describe({ cpus, memoryMb, diskMb }: Resources): string {
  return `${cpus} ${cpus === 1 ? "CPU" : "CPUs"}, ${memoryMb} MB of memory and ${diskMb} MB of disk`;
}

function resourceFacts(prefix: string, { cpus, memoryMb, diskMb }: Resources): Facts {
  return {
    [`${prefix}_cpus`]: String(cpus),
    [`${prefix}_memory_mb`]: String(memoryMb),
    [`${prefix}_disk_mb`]: String(diskMb),
  };
}
