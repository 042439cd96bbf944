import { Fault } from "../../lib/faults/fault.ts";
import { isNewer, type Machine, type MachineEvent, type MachineEventOf } from "../machines/machine.ts";

/** A change in a host's outbox. */
export interface HostEvent {
  readonly sequence: bigint;
  readonly machine: Machine;
  readonly event?: MachineEvent;
}

/** The part of a host's report that is new. */
export interface Batch {
  /** The latest generation of each machine. */
  readonly machines: readonly Machine[];
  readonly events: readonly MachineEventOf[];
  /** Sequence of the last change that is applied with this batch. */
  readonly applied: bigint;
}

/**
 * Selects the changes that are new. The first batch of a host may begin anywhere.
 *
 * @param applied sequence of the last applied change, 0 for none
 * @throws Fault `SEQUENCE_GAP` when a change is missing in between
 */
export function planBatch(applied: bigint, changes: readonly HostEvent[]): Batch {
  const fresh = changes.filter((change) => change.sequence > applied);
  let last = applied;
  for (const { sequence } of fresh) {
    if (last !== 0n && sequence !== last + 1n) throw gap(last, sequence);
    last = sequence;
  }
  const latest = new Map<string, Machine>();
  for (const { machine } of fresh) {
    const known = latest.get(machine.id);
    if (!known || isNewer(machine, known)) latest.set(machine.id, machine);
  }
  return {
    machines: [...latest.values()],
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
