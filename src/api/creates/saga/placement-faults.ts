import { Fault } from "../../../lib/faults/fault.ts";
import type { CreateState } from "../store/create-state.ts";

export function noHostFault(state: Pick<CreateState, "auctions" | "attempts">): Fault {
  const { attempts, auctions } = state;
  const refused = attempts.filter((attempt) => attempt.outcome === "refused");
  const inDoubt = attempts.filter((attempt) => attempt.outcome === "in_doubt");
  const facts = {
    hosts_refused: String(refused.length),
    hosts_unreachable: String(inDoubt.length),
    reasons: [...new Set(attempts.map((attempt) => attempt.reason))].sort().join(","),
    auctions: String(auctions.length),
  };
  if (inDoubt.length > 0 && refused.length === 0) {
    const message = "no host that offered could be reached; try again";
    return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, facts);
  }
  if (attempts.length === 0) {
    const message = "no reservation lived long enough to be used; try again";
    return new Fault("UNAVAILABLE", "SCHEDULER_UNAVAILABLE", message, facts);
  }
  const message = "every host that offered took its offer back; try again in a moment, or ask for less";
  return new Fault("RESOURCE_EXHAUSTED", "NO_CAPACITY", message, facts);
}

/** Makes a fault with each region's reason. */
export function noRegionFault(state: CreateState, regions: readonly string[]): Fault {
  const refusals = regions.map((region) => {
    const auctions = state.auctions.filter((each) => each.region === region);
    const known = auctions.findLast((each) => each.refusal)?.refusal;
    const ids = new Set(auctions.map((each) => each.reservationId));
    const attempts = state.attempts.filter((attempt) => ids.has(attempt.reservationId));
    const { reason, message } = known ?? noHostFault({ auctions, attempts });
    return { region, reason, message };
  });
  const facts = {
    regions: regions.join(","),
    ...Object.fromEntries(refusals.map(({ region, reason }) => [`reason_${region}`, reason])),
  };
  const why = refusals.map(({ region, message }) => `${region}: ${message}`).join("; ");
  // A smaller machine may fit into a full region; an unreachable one can only be waited for.
  const isFull = refusals.some(({ reason }) => reason === "NO_CAPACITY");
  const only = new Set(refusals.map(({ reason }) => reason)).size === 1 ? refusals[0]?.reason : undefined;
  return new Fault(
    isFull ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
    isFull ? "NO_CAPACITY" : (only ?? "SCHEDULER_UNAVAILABLE"),
    `no region could have the machine; ${why}`,
    facts,
  );
}
