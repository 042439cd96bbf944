import { Fault } from "../../lib/faults/fault.ts";
import type { Resources } from "../machines/machine.ts";

/** An award for a hold that this host does not have. */
export function holdExpired(reservationId: string, epoch: bigint): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "HOLD_EXPIRED",
    `this host holds nothing for reservation ${reservationId} of epoch ${epoch}: it was never held here, has expired, or is of an earlier life of the host`,
    { reservation_id: reservationId, epoch: String(epoch) },
  );
}

/** An award for a hold that another machine was given. */
export function holdAwarded(reservationId: string): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "HOLD_AWARDED",
    `reservation ${reservationId} has already been used for another machine`,
    { reservation_id: reservationId },
  );
}

/** A start that there is no room for. */
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
