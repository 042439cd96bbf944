import { Fault } from "../../lib/runtime/fault.ts";
import type { Outcome } from "../auctions/auction.ts";
import type { Bid, DeclineReason, Resources } from "../auctions/offer.ts";
import { constraintsIn } from "../auctions/placement.ts";
import type { Survey } from "../hosts/hosts.ts";
import type { Claimed } from "./reservation-store.ts";

/** When to come back after being refused for load: an auction has ended by then. */
const RETRY_MS = 200;

/**
 * The fault for an auction without an offer: no host, none that answered, or none with room.
 *
 * @param survey how the attached hosts stand to what was asked for
 * @param excluded of the attached, how many the caller did not want
 */
export function noOffers(bid: Bid, outcome: Outcome, survey: Survey, excluded: number): Fault {
  const { asked, nearest } = outcome;
  const declines = [...outcome.declines, ...(excluded > 0 ? [["excluded", excluded] as const] : [])];
  const facts = {
    hosts_attached: String(survey.attached),
    hosts_matching: String(survey.matching),
    ...counted({ closed: survey.closed, passed_over: survey.inBackoff }),
    hosts_asked: String(asked),
    ...Object.fromEntries(declines.map(([reason, count]) => [`declined_${reason}`, String(count)])),
  };
  if (survey.attached === 0) return noHosts("no host is attached", facts);
  const unmatched = asked === 0 ? whyNoneAsked(bid, survey, facts) : undefined;
  if (unmatched) return unmatched;
  if (asked === 0 && excluded === 0) return noHosts("nothing has been heard of any host lately", facts);
  if (asked > 0 && !declines.some(([reason]) => isNo(reason))) {
    return noHosts(`none of the ${asked} hosts asked has answered`, facts);
  }
  const message = whyNone(bid, outcome);
  return new Fault(
    "RESOURCE_EXHAUSTED",
    "NO_CAPACITY",
    nearest ? `${message}; the largest that would fit is ${words(nearest)}` : message,
    { ...facts, ...named("asked", bid.resources), ...(nearest ? named("largest", nearest) : {}) },
  );
}

/** When it is the constraints, or operators, that left nobody to ask. */
function whyNoneAsked(
  { placement }: Bid,
  { attached, matching, closed, inBackoff, silent }: Survey,
  facts: Readonly<Record<string, string>>,
): Fault | undefined {
  const wanted = constraintsIn(placement);
  if (matching === 0) return noCapacity(`none of the ${attached} hosts attached has ${wanted}`, facts);
  if (silent === matching) return undefined;
  const which = wanted === "" ? "" : ` with ${wanted}`;
  if (closed + inBackoff + silent < matching) return undefined;
  return noCapacity(
    `of the ${matching} hosts${which} none takes machines now: ${closed} cordoned or draining, ${inBackoff} passed over for refusing`,
    facts,
  );
}

function whyNone({ placement, resources }: Bid, { asked, declines }: Outcome): string {
  const present = declines.get("app_present") ?? 0;
  if (present > 0 && present === asked)
    return `each of the ${asked} hosts asked has a machine of the app already, and distinct hosts were asked for`;
  const wanted = constraintsIn(placement);
  const which = wanted === "" ? "" : ` with ${wanted}`;
  const hosts = asked === 0 ? `no host${which} but the excluded` : `none of the ${asked} hosts${which} asked`;
  return `${hosts} has room for ${words(resources)}`;
}

function noCapacity(message: string, facts: Readonly<Record<string, string>>): Fault {
  return new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", message, facts);
}

function counted(counts: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(counts).flatMap(([key, n]) => (n > 0 ? [[key, String(n)]] : [])));
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
  return `${cpus} ${cpus === 1 ? "CPU" : "CPUs"}, ${memoryMb} MB of memory and ${diskMb} MB of disk`;
}

function named(prefix: string, { cpus, memoryMb, diskMb }: Resources): Record<string, string> {
  return {
    [`${prefix}_cpus`]: String(cpus),
    [`${prefix}_memory_mb`]: String(memoryMb),
    [`${prefix}_disk_mb`]: String(diskMb),
  };
}
