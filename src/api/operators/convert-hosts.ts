import type {
  AnnounceHostRequest,
  DrainHostResponse,
  Host,
  Capacity as WireCapacity,
} from "../../gen/windhover/admin/v1/hosts.ts";
import {
  type AttachedHost,
  type HostInfo,
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
  const info = attached?.info;
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
    name: info?.name ?? entry?.name ?? "",
    region: info?.region ?? entry?.region ?? "",
    zone: info?.zone ?? entry?.zone ?? "",
    address: info?.address ?? entry?.address ?? "",
    attached: attached !== undefined,
    attachTime: attached?.attachTime,
    lastSeenTime: timeTo(seen),
    capacity: fromResources(info?.capacity) ?? fromEntry(entry?.capacity),
    held: fromResources(status?.held),
    allocated: fromResources(status?.allocated),
    running: fromResources(status?.running),
    machines: status?.machines ?? {},
    vmm: info?.vmm ?? entry?.vmm ?? "",
    acceleration: info?.acceleration ?? entry?.acceleration ?? "",
    isolation: info?.isolation ?? entry?.isolation ?? "",
    vmmReason: info?.vmmReason ?? entry?.vmmReason ?? "",
    statusMessage: notes.join("; "),
    scheduling: status?.scheduling ?? Scheduling.UNSPECIFIED,
    labels: info?.labels ?? { ...entry?.labels },
    warmVms: status?.warmVms ?? 0,
    backoffUntilTime: attached?.backoffUntilTime,
    diskFreeMb: status?.diskFreeMb,
    diskReserveMb: status?.diskReserveMb,
  };
}

/** What a host says of itself, to an api that it announces itself to or to one that asks. */
export function entryOf(said: HostInfo | AnnounceHostRequest): Omit<HostEntry, "lastSeenMs"> {
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
