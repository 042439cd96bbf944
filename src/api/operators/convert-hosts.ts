import type {
  AnnounceHostRequest,
  DrainHostResponse,
  Host,
  Capacity as WireCapacity,
} from "../../gen/windhover/admin/v1/hosts.ts";
import {
  type AttachedHost,
  type Hello,
  type Resources,
  Scheduling,
  type Status,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { Capacity, HostEntry } from "../hosts/host-table.ts";
import { stateTo, timeTo } from "../machines/convert-machine.ts";
import type { Drained } from "./operators.ts";

/** What is known of one host, and from whom. */
export interface HostFacts {
  readonly number: number;
  /** From the table and the record. */
  readonly entry: HostEntry | undefined;
  /** From the scheduler, when it is attached. */
  readonly attached: AttachedHost | undefined;
  /** Sources that did not answer. */
  readonly missing: readonly string[];
}

/** Puts on the wire what is known of a host: the scheduler's word before the table's. */
export function hostTo({ number, entry, attached, missing }: HostFacts, nowMs: number): Host {
  const hello = attached?.hello;
  const seen = Math.max(entry?.lastSeenMs ?? 0, attached?.lastSeenTime?.getTime() ?? 0);
  const silent = Math.max(0, Math.round((nowMs - seen) / 1_000));
  const status = attached?.status;
  const isAway = !attached && missing.length === 0;
  const notes = [
    ...(isAway ? [`not attached: no word for ${silent} s`] : missing),
    ...(status ? diskNotes(status) : []),
  ];
  return {
    number,
    name: hello?.name ?? entry?.name ?? "",
    region: hello?.region ?? entry?.region ?? "",
    zone: hello?.zone ?? entry?.zone ?? "",
    address: hello?.address ?? entry?.address ?? "",
    attached: attached !== undefined,
    attachTime: attached?.attachTime,
    lastSeenTime: timeTo(seen),
    capacity: fromResources(hello?.capacity) ?? fromEntry(entry?.capacity),
    held: fromResources(status?.held),
    allocated: fromResources(status?.allocated),
    running: fromResources(status?.running),
    machines: status?.machines ?? {},
    vmm: hello?.vmm ?? entry?.vmm ?? "",
    acceleration: hello?.acceleration ?? entry?.acceleration ?? "",
    isolation: hello?.isolation ?? entry?.isolation ?? "",
    vmmReason: hello?.vmmReason ?? entry?.vmmReason ?? "",
    statusMessage: notes.join("; "),
    scheduling: status?.scheduling ?? Scheduling.UNSPECIFIED,
    labels: hello?.labels ?? { ...entry?.labels },
    warm: status?.warm ?? 0,
    backoffUntilTime: attached?.backoffUntilTime,
    diskFreeMb: status?.diskFreeMb,
    diskReserveMb: status?.diskReserveMb,
  };
}

/** What a host says of itself, to an api that it announces itself to or to one that asks. */
export function entryOf(said: Hello | AnnounceHostRequest): Omit<HostEntry, "lastSeenMs"> {
  const { number, identity, name, region, zone, address, vmm, acceleration, isolation, vmmReason, labels } =
    said;
  const capacity = {
    cpus: said.capacity?.cpus ?? 0,
    memoryMb: Number(said.capacity?.memoryMb ?? 0n),
    diskMb: Number(said.capacity?.diskMb ?? 0n),
  };
  const where = { number, identity, name, region, zone, address };
  return { ...where, capacity, vmm, acceleration, isolation, vmmReason, labels };
}

/** Puts on the wire how far a host has been emptied. */
export function drainedTo({ host, machine, problem, done, total }: Drained): DrainHostResponse {
  return {
    hostNumber: host.number,
    machineId: machine?.id ?? "",
    state: machine ? stateTo(machine.state) : 0,
    problem: problem ?? "",
    done,
    total,
  };
}

/** A host that can take nothing because its disk is all but full. */
function diskNotes({ diskFreeMb, diskReserveMb }: Status): string[] {
  if (diskFreeMb === undefined || diskReserveMb === undefined || diskFreeMb >= diskReserveMb) return [];
  return [
    `disk all but full: ${diskFreeMb} MB free, and ${diskReserveMb} MB are kept for the machines there; no new ones until there is more`,
  ];
}

function fromResources(resources: Resources | undefined): WireCapacity | undefined {
  return resources && { cpus: resources.cpus, memoryMb: resources.memoryMb, diskMb: resources.diskMb };
}

function fromEntry(capacity: Capacity | undefined): WireCapacity | undefined {
  return (
    capacity && { cpus: capacity.cpus, memoryMb: BigInt(capacity.memoryMb), diskMb: BigInt(capacity.diskMb) }
  );
}
