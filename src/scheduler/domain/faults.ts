import { Fault } from "../../lib/fault.ts";
import type { Outcome } from "./auction.ts";
import type { Bid, Resources } from "./offer.ts";
import type { Claimed } from "./reservation-store.ts";

/** When to come back after being refused for load: an auction has ended by then. */
const RETRY_MS = 200;

/** The fault for an auction without an offer: no host, none that answered, or none with room. */
export function noOffers(bid: Bid, outcome: Outcome, attached: number): Fault {
  const declines = [...outcome.declines];
  const declined = declines.some(([reason]) => reason !== "silent" && reason !== "lost");
  const facts = {
    hosts_attached: String(attached),
    hosts_asked: String(outcome.asked),
    ...Object.fromEntries(declines.map(([reason, count]) => [`declined_${reason}`, String(count)])),
  };
  if (attached === 0) {
    return new Fault("UNAVAILABLE", "NO_HOSTS", "no host is attached", facts, { retryAfterMs: 1_000 });
  }
  if (outcome.asked > 0 && !declined) {
    const message = `none of the ${outcome.asked} hosts asked has answered`;
    return new Fault("UNAVAILABLE", "NO_HOSTS", message, facts, { retryAfterMs: 1_000 });
  }
  const { nearest } = outcome;
  const message = `none of the ${outcome.asked} hosts asked has room for ${words(bid.resources)}`;
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
