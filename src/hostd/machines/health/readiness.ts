import type { Change, CheckStatus, Machine } from "../machine.ts";
import { nextGeneration, type Stamp, withEvent } from "../stamp.ts";
import { type PlannedCheck, planChecks } from "./check-plan.ts";

/** What the checks of a run say. */
export interface Health {
  readonly isReady: boolean;
  readonly checks: readonly CheckStatus[];
}

/** Events of checks that a machine keeps: they must not displace those of its states. */
const MAX_CHECK_EVENTS = 5;

/** Begins a run. A machine without anything to wait for, or whose snapshot was ready, is ready at once. */
export function beginRun(machine: Machine, nowMs: number): Machine {
  const isSnapshot = machine.lastStartPath === "snapshot";
  const checks = planChecks(machine.spec.config).map((check) => {
    const status = initialStatus(check, nowMs);
    return isSnapshot && check.isReadiness ? { ...status, ...AS_SAVED } : status;
  });
  return { ...machine, isReady: isReadyBy(checks), ...(checks.length === 0 ? {} : { checks }) };
}

/** A machine is saved when all its readiness checks pass. */
const AS_SAVED = { status: "passing", output: "it passed when the snapshot was made" } as const;

/** Makes the status of a check that has not run. */
export function initialStatus({ name, isReadiness }: PlannedCheck, nowMs: number): CheckStatus {
  return { name, status: "warning", output: "it has not run yet", updatedAtMs: nowMs, isReadiness };
}

/** Whether a machine with these results may be sent requests. */
export function isReadyBy(checks: readonly CheckStatus[]): boolean {
  return checks.every(({ isReadiness, status }) => !isReadiness || status === "passing");
}

/** Records what the checks say, with an event when that is worth one. @param vmId of the run that they are of */
export function withHealth(
  machine: Machine,
  vmId: string,
  health: Health,
  event: { readonly type: "ready" | "check"; readonly message: string } | undefined,
  at: Stamp,
): Change | undefined {
  if (machine.state !== "started" || machine.vmId !== vmId) return undefined;
  const next = { ...nextGeneration(machine, at), ...health };
  if (!event) return { machine: next };
  return withEvent(withoutOldChecks(next), { ...event, source: "hostd" }, at);
}

function withoutOldChecks(machine: Machine): Machine {
  let count = 0;
  const isKept = (type: string) => (type !== "ready" && type !== "check") || ++count < MAX_CHECK_EVENTS;
  return { ...machine, events: machine.events.filter(({ type }) => isKept(type)) };
}
