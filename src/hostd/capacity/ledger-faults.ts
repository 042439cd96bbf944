import { Fault } from "../../lib/faults/fault.ts";
import type { Resources } from "../machines/machine.ts";

/** Makes the fault for an award without a hold. */
export function holdExpired(reservationId: string, epoch: bigint): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "HOLD_EXPIRED",
    `this host has no hold for reservation ${reservationId} of epoch ${epoch}: it never had one, it has expired, or hostd has restarted`,
    { reservation_id: reservationId, epoch: String(epoch) },
  );
}

/** Makes the fault for an award of a hold that another machine has. */
export function holdAwarded(reservationId: string): Fault {
  const message = `reservation ${reservationId} has already been used for another machine`;
  return new Fault("FAILED_PRECONDITION", "HOLD_AWARDED", message, { reservation_id: reservationId });
}

/** Makes the fault for a start that needs more than is free. */
export function insufficient(asked: Resources, free: Resources): Fault {
  const facts = {
    asked_cpus: String(asked.cpus),
    asked_memory_mb: String(asked.memoryMb),
    free_cpus: String(free.cpus),
    free_memory_mb: String(free.memoryMb),
  };
  const message = `the host has ${free.cpus} CPUs and ${free.memoryMb} MB of memory free; the machine needs ${asked.cpus} CPUs and ${asked.memoryMb} MB`;
  return new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", message, facts);
}
