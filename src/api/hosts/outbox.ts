import { Fault } from "../../lib/faults/fault.ts";
import type { MachineChange } from "../machines/apply-changes.ts";
import { isNewer, type ReportedMachine } from "../machines/machine.ts";

/** A change in a host's outbox. */
export interface HostEvent extends MachineChange {
  readonly sequence: bigint;
}

/** The part of a host's report that is new. */
export interface Batch {
  /** The latest generation of each machine, whole if the report has it whole. */
  readonly machines: readonly ReportedMachine[];
  /** All new changes, in their order. */
  readonly changes: readonly HostEvent[];
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
  const latest = new Map<string, ReportedMachine>();
  for (const { reported } of fresh) {
    const { id } = reported.machine;
    const known = latest.get(id);
    latest.set(id, known ? merge(known, reported) : reported);
  }
  return {
    machines: [...latest.values()],
    changes: fresh,
    applied: last,
  };
}

/** Returns the later of two reports of a machine, with the fields that never change from either. */
function merge(a: ReportedMachine, b: ReportedMachine): ReportedMachine {
  const [older, newer] = isNewer(b.machine, a.machine) ? [a, b] : [b, a];
  if (newer.kind === "whole" || older.kind === "status") return newer;
  return { kind: "whole", machine: { ...older.machine, ...newer.machine } };
}

/** Makes the fault for changes without the part of a machine that the database lacks. */
export function notDescribed(hostNumber: number): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "MACHINE_NOT_DESCRIBED",
    "the database lacks the configuration of a machine: send whole machines",
    { host_number: String(hostNumber) },
  );
}

function gap(applied: bigint, sequence: bigint): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "SEQUENCE_GAP",
    `event ${sequence} came after ${applied}: send the events between first`,
    { applied: applied.toString(), sequence: sequence.toString() },
  );
}
