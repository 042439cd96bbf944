import { Fault } from "../../lib/faults/fault.ts";
import type { Host } from "../machines/host.ts";

type Parts = Pick<Host, "store" | "ledger">;

/** What there is of an app on this host. */
export interface AppPresence {
  /** Machines, those included that have been awarded and are not stored yet. */
  readonly machines: number;
  /** Reservations that hold capacity for one and may come to nothing. */
  readonly held: number;
}

/** Counts what there is of an app, besides one reservation. */
export function appPresence({ store, ledger }: Parts, app: string, reservationId: string): AppPresence {
  let machines = 0;
  let held = 0;
  const known = new Set<string>();
  for (const { id, state, spec } of store.all()) {
    if (spec.app !== app) continue;
    known.add(id);
    if (state !== "destroyed") machines += 1;
  }
  for (const claim of ledger.claimsOf(app)) {
    if (claim.reservationId === reservationId) continue;
    if (claim.awardedTo === undefined) held += 1;
    else if (!known.has(claim.awardedTo)) machines += 1;
  }
  return { machines, held };
}

/**
 * Refuses an award for a machine that was to be the only one of its app here, when another has come first. Holds do not count: an auction holds
 * on several hosts, and two of one app at a time would keep each other from all of them.
 *
 * @throws Fault APP_PRESENT
 */
export function refuseSecondOfApp(parts: Parts, app: string, reservationId: string): void {
  if (!parts.ledger.isDistinct(reservationId)) return;
  if (appPresence(parts, app, reservationId).machines === 0) return;
  throw new Fault(
    "FAILED_PRECONDITION",
    "APP_PRESENT",
    `this host has a machine of the app ${app} already, and distinct hosts were asked for`,
    { app },
  );
}
