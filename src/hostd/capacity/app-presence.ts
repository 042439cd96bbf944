import { Fault } from "../../lib/faults/fault.ts";
import type { Store } from "../store/store.ts";
import type { Ledger } from "./ledger.ts";

interface Parts {
  readonly store: Pick<Store, "all">;
  readonly ledger: Pick<Ledger, "holdsOfApp" | "isDistinct">;
}

export interface AppPresence {
  /** Machines, including awarded ones that are not stored yet. */
  readonly machines: number;
  /** Holds that may still expire. */
  readonly held: number;
}

/** Counts the machines and holds of an app, without the hold of `reservationId`. */
export function appPresence({ store, ledger }: Parts, app: string, reservationId: string): AppPresence {
  let machines = 0;
  let held = 0;
  const known = new Set<string>();
  for (const { id, state, spec } of store.all()) {
    if (spec.app !== app) continue;
    known.add(id);
    if (state !== "destroyed") machines += 1;
  }
  for (const hold of ledger.holdsOfApp(app)) {
    if (hold.reservationId === reservationId) continue;
    if (hold.awardedTo === undefined) held += 1;
    else if (!known.has(hold.awardedTo)) machines += 1;
  }
  return { machines, held };
}

/**
 * Refuses an award with `distinct_hosts` when the app has a machine here. Holds do not count: an auction holds capacity on several
 * hosts, so two auctions of one app would block each other on all of them.
 *
 * @throws Fault APP_PRESENT
 */
export function refuseSecondOfApp(parts: Parts, app: string, reservationId: string): void {
  if (!parts.ledger.isDistinct(reservationId)) return;
  if (appPresence(parts, app, reservationId).machines === 0) return;
  const message = `this host has a machine of the app ${app} already, and distinct hosts were asked for`;
  throw new Fault("FAILED_PRECONDITION", "APP_PRESENT", message, { app });
}
