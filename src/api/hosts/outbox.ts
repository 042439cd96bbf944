import { Fault } from "../../lib/runtime/fault.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";

/** Something that changed on a host, as its outbox numbers it. */
export interface HostEvent {
  readonly sequence: bigint;
  /** The machine after the change. */
  readonly machine: Machine;
  readonly event?: MachineEvent;
}

/** What a batch of events leaves to do. */
export interface Batch {
  /** The newest view of each machine. */
  readonly machines: readonly Machine[];
  readonly events: readonly { readonly machineId: string; readonly event: MachineEvent }[];
  /** The last sequence that is applied once this batch is. */
  readonly applied: bigint;
}

/**
 * Decides what of a host's events is new. What was applied before is left out, so a repeat is harmless. The very first batch may begin
 * anywhere: the record may have been lost, the host does not forget.
 *
 * @param applied the last sequence applied, 0 for none
 * @throws Fault FAILED_PRECONDITION / `SEQUENCE_GAP` when an event between is missing
 */
export function planBatch(applied: bigint, events: readonly HostEvent[]): Batch {
  const fresh = events.filter((event) => event.sequence > applied);
  let last = applied;
  for (const { sequence } of fresh) {
    if (last !== 0n && sequence !== last + 1n) throw gap(last, sequence);
    last = sequence;
  }
  const newest = new Map<string, Machine>();
  for (const { machine } of fresh) {
    const known = newest.get(machine.id);
    if (!known || BigInt(machine.generation) > BigInt(known.generation)) newest.set(machine.id, machine);
  }
  return {
    machines: [...newest.values()],
    events: fresh.flatMap(({ machine, event }) => (event ? [{ machineId: machine.id, event }] : [])),
    applied: last,
  };
}

function gap(applied: bigint, sequence: bigint): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "SEQUENCE_GAP",
    `event ${sequence} came after ${applied}: send the events between first`,
    { applied: applied.toString(), sequence: sequence.toString() },
  );
}
