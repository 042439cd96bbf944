import { Fault } from "../../lib/faults/fault.ts";

export const SCHEDULINGS = ["open", "cordoned", "draining"] as const;

/** Whether a host takes machines. See windhover.scheduler.v1.Scheduling. */
export type Scheduling = (typeof SCHEDULINGS)[number];

/** Refuses creates and starts on a host that is being drained. @throws Fault HOST_DRAINING */
export function refuseWhileDraining({ current }: { readonly current: Scheduling }, hostNumber: number): void {
  if (current !== "draining") return;
  throw new Fault(
    "FAILED_PRECONDITION",
    "HOST_DRAINING",
    `an operator is draining host ${hostNumber}: it starts no machines until it is opened again`,
    { host_number: String(hostNumber) },
  );
}
