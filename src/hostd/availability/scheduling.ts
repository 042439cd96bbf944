import { Fault } from "../../lib/faults/fault.ts";

/** Whether a host takes machines. See windhover.scheduler.v1.Scheduling. */
export type Scheduling = "open" | "cordoned" | "draining";

/** What an operator has said about a host; it is asked wherever a machine is to be taken or started. */
export interface SchedulingState {
  readonly current: Scheduling;
}

/** Refuses what a host that is being emptied does not do: take machines, start machines. @throws Fault HOST_DRAINING */
export function refuseWhileDraining({ current }: SchedulingState, hostNumber: number): void {
  if (current !== "draining") return;
  throw new Fault(
    "FAILED_PRECONDITION",
    "HOST_DRAINING",
    `an operator is emptying host ${hostNumber}: it starts no machines until it is opened again`,
    { host_number: String(hostNumber) },
  );
}
