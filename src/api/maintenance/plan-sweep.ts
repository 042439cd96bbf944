import type { HostedMachine } from "../hosts/hostd.ts";
import { isNewer, type MachineState } from "../machines/machine.ts";
import type { StoredMachine } from "../machines/machine-store.ts";

/** More differences must be fewer than half of the machines. */
const MAX_DIFFERENCES = 5;

export interface SweepPlan {
  /** Machines on the host that the database does not have, or has as destroyed. */
  readonly unknown: readonly HostedMachine[];
  /** Committed machines that the host does not have. */
  readonly missing: readonly StoredMachine[];
  /** Machines of a later generation on the host. */
  readonly ahead: readonly HostedMachine[];
  /** Whether the host or the database must have lost data: nothing may be repaired. */
  readonly isImplausible: boolean;
}

/**
 * Compares a host with the database, as it was before and after the host was asked.
 *
 * @param graceMs a machine younger than this is not unknown yet
 */
export function planSweep(
  onHost: readonly HostedMachine[],
  stored: { readonly before: readonly StoredMachine[]; readonly after: readonly StoredMachine[] },
  nowMs: number,
  graceMs: number,
): SweepPlan {
  const after = new Map(stored.after.map((machine) => [machine.id, machine]));
  const listed = new Set(onHost.map((machine) => machine.id));
  const unknown = onHost.filter(({ id, state, createTimeMs }) => {
    const isKnown = after.has(id) && after.get(id)?.state !== "destroyed";
    return !isKnown && !isGone(state) && createTimeMs < nowMs - graceMs;
  });
  const missing = stored.before.filter(({ id, isCommitted }) => {
    const now = after.get(id);
    return isCommitted && now?.isCommitted === true && !isGone(now.state) && !listed.has(id);
  });
  const ahead = onHost.filter((machine) => {
    const known = after.get(machine.id);
    return known !== undefined && known.state !== "destroyed" && isNewer(machine, known);
  });
  const isImplausible =
    tooMany(unknown.length, onHost.length) || tooMany(missing.length, stored.before.length);
  return { unknown, missing, ahead, isImplausible };
}

function tooMany(different: number, all: number): boolean {
  return different > MAX_DIFFERENCES && different * 2 > all;
}

function isGone(state: MachineState): boolean {
  return state === "destroyed" || state === "destroying";
}
