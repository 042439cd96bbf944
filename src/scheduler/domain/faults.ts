import { Fault } from "../../lib/fault.ts";
import type { Outcome } from "./auction.ts";
import type { Bid, DeclineReason, Resources } from "./offer.ts";
import type { Claimed } from "./reservation-store.ts";

/** When to come back after being refused for load: an auction has ended by then. */
const RETRY_MS = 200;

/**
 * The fault for an auction without an offer: no host, none that answered, or none with room.
 *
 * @param attached hosts that are attached
 * @param excluded of these, how many the caller did not want
 */
export function noOffers(bid: Bid, outcome: Outcome, attached: number, excluded: number): Fault {
  const { asked, nearest } = outcome;
  const declines = [...outcome.declines, ...(excluded > 0 ? [["excluded", excluded] as const] : [])];
  const facts = {
    hosts_attached: String(attached),
    hosts_asked: String(asked),
    ...Object.fromEntries(declines.map(([reason, count]) => [`declined_${reason}`, String(count)])),
  };
  if (attached === 0) return noHosts("no host is attached", facts);
  if (asked === 0 && excluded === 0) return noHosts("nothing has been heard of any host lately", facts);
  if (asked > 0 && !declines.some(([reason]) => isNo(reason))) {
    return noHosts(`none of the ${asked} hosts asked has answered`, facts);
  }
  const hosts = asked === 0 ? "no host but the excluded" : `none of the ${asked} hosts asked`;
  const message = `${hosts} has room for ${words(bid.resources)}`;
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "NO_CAPACITY",
    nearest ? `${message}; the largest that would fit is ${words(nearest)}` : message,
    { ...facts, ...named("asked", bid.resources), ...(nearest ? named("largest", nearest) : {}) },
  );
}

/** The fault for a claim that is refused. */
export function claimRefused(
  kind: Exclude<Claimed["kind"], "claimed">,
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
      return new Fault("ABORTED", "RESERVATION_CLAIMED", "somebody else has claimed the reservation", facts);
    case "unknown":
      return new Fault("INVALID_ARGUMENT", "OFFER_UNKNOWN", `host ${hostNumber} made no offer`, facts);
  }
}

/** The fault for too much at once. */
export function queueFull(what: "auctions" | "reservations", limit: number): Fault {
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "AUCTION_QUEUE_FULL",
    `${limit} ${what} at once are the most; try again in a moment`,
    { what, limit: String(limit) },
    { retryAfterMs: RETRY_MS },
  );
}

/** The fault for a reservation that took longer to store than it would have lived. */
export function storedTooLate(id: string): Fault {
  return new Fault(
    "UNAVAILABLE",
    "REDIS_UNAVAILABLE",
    "Redis answered after the reservation's deadline",
    { reservation_id: id },
    { retryAfterMs: RETRY_MS },
  );
}

function noHosts(message: string, facts: Readonly<Record<string, string>>): Fault {
  return new Fault("UNAVAILABLE", "NO_HOSTS", message, facts, { retryAfterMs: 1_000 });
}

/** Whether it was the host that said no, rather than that nothing was heard of it. */
function isNo(reason: DeclineReason | "excluded"): boolean {
  return reason !== "silent" && reason !== "lost" && reason !== "excluded";
}

function words({ cpus, memoryMb, diskMb }: Resources): string {
  return `${cpus} CPUs, ${memoryMb} MB of memory and ${diskMb} MB of disk`;
}

function named(prefix: string, { cpus, memoryMb, diskMb }: Resources): Record<string, string> {
  return {
    [`${prefix}_cpus`]: String(cpus),
    [`${prefix}_memory_mb`]: String(memoryMb),
    [`${prefix}_disk_mb`]: String(diskMb),
  };
}
