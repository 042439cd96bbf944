import { Fault } from "../../lib/faults/fault.ts";
import type { Resources } from "../machines/version.ts";

export function holdExpired(reservationId: string, epoch: bigint): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "HOLD_EXPIRED",
    `this host has no hold for reservation ${reservationId} of epoch ${epoch}: it never had one, it has expired, or hostd has restarted`,
    { reservation_id: reservationId, epoch: String(epoch) },
  );
}

export function holdAwarded(reservationId: string): Fault {
  const message = `reservation ${reservationId} has already been used for another machine`;
  return new Fault("FAILED_PRECONDITION", "HOLD_AWARDED", message, { reservation_id: reservationId });
}

export function diskFull(neededMb: number, freeMb: number): Fault {
  const message = `the host has ${freeMb} MB of disk free; saving the machine needs ${neededMb} MB`;
  const facts = { needed_mb: String(neededMb), free_mb: String(freeMb) };
  return new Fault("RESOURCE_EXHAUSTED", "DISK_FULL", message, facts);
}

export function insufficient(needed: Resources, free: Resources): Fault {
  const facts = {
    asked_cpus: String(needed.cpus),
    asked_memory_mb: String(needed.memoryMb),
    free_cpus: String(free.cpus),
    free_memory_mb: String(free.memoryMb),
  };
  const what = needed.memoryMb > free.memoryMb ? "memory" : "CPUs";
  // Clients of the Machines API match the first half.
  const message = `could not reserve resource for machine: insufficient ${what} available to fulfill request: the host has ${free.cpus} CPUs and ${free.memoryMb} MB of memory free; the machine needs ${needed.cpus} CPUs and ${needed.memoryMb} MB`;
  return new Fault("RESOURCE_EXHAUSTED", "INSUFFICIENT_CAPACITY", message, facts);
}
