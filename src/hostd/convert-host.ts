import type { AnnounceHostRequest, HostEvent } from "../gen/windhover/admin/v1/hosts.ts";
import type { Hold as WireHold } from "../gen/windhover/hostd/v1/hostd.ts";
import {
  type HostInfo,
  Scheduling,
  type Status,
  type Resources as WireResources,
} from "../gen/windhover/scheduler/v1/scheduler.ts";
import { invalid } from "../lib/faults/fault.ts";
import { type DiskSpace, shownSpace } from "./availability/host-disk.ts";
import type { Scheduling as SchedulingWord } from "./availability/scheduling.ts";
import type { Hold } from "./capacity/ledger.ts";
import { eventToProto, machineToProto } from "./convert.ts";
import type { Host } from "./machines/host.ts";
import type { Resources } from "./machines/machine.ts";
import type { OutboxEntry } from "./store/store.ts";
import type { VmmInfo } from "./vmm/vmm.ts";

/** Who a host is. */
export interface HostIdentity {
  readonly number: number;
  readonly name: string;
  readonly identity: string;
  readonly region: string;
  readonly zone: string;
  /** gRPC address of its hostd. */
  readonly address: string;
  readonly capacity: Resources;
  readonly vmm: VmmInfo;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a host says of itself when it attaches to a scheduler. */
export function hostInfoToProto(host: HostIdentity): HostInfo {
  return { ...common(host), capacity: resourcesToProto(host.capacity) };
}

/** What a host says of itself to the apis. */
export function announcementToProto(host: HostIdentity): AnnounceHostRequest {
  return { ...common(host), capacity: resourcesToProto(host.capacity) };
}

/** How a host is. */
export function statusToProto(
  host: Pick<Host, "ledger" | "store" | "vmm" | "scheduling" | "disk">,
  load: number,
): Status {
  const sums = host.ledger.sums();
  const byState: Record<string, number> = {};
  for (const { state } of host.store.all()) {
    if (state !== "destroyed") byState[state] = (byState[state] ?? 0) + 1;
  }
  return {
    held: resourcesToProto(sums.held),
    allocated: resourcesToProto(sums.allocated),
    running: resourcesToProto(sums.running),
    machines: byState,
    load,
    warmVms: host.vmm.warm?.() ?? 0,
    scheduling: SCHEDULING[host.scheduling.current],
    ...diskToProto(host.disk.space),
  };
}

const SCHEDULING: Readonly<Record<SchedulingWord, Scheduling>> = {
  open: Scheduling.OPEN,
  cordoned: Scheduling.CORDONED,
  draining: Scheduling.DRAINING,
};

/** What an operator's word was, on the wire. */
export function schedulingToProto(scheduling: SchedulingWord): Scheduling {
  return SCHEDULING[scheduling];
}

/**
 * An operator's word.
 *
 * @throws Fault INVALID_FIELDS
 */
export function schedulingFromProto(scheduling: Scheduling): SchedulingWord {
  for (const word of ["open", "cordoned", "draining"] as const)
    if (SCHEDULING[word] === scheduling) return word;
  throw invalid([{ field: "scheduling", description: "must be open, cordoned or draining" }]);
}

/** A hold. @param monotonicOffsetMs what to add to the monotonic clock to get the time of day */
export function holdToProto(hold: Hold, monotonicOffsetMs: number): WireHold {
  return {
    reservationId: hold.reservationId,
    epoch: hold.epoch,
    resources: resourcesToProto(hold.resources),
    expireTime: new Date(hold.deadlineMs + monotonicOffsetMs),
  };
}

/** A change, for the central record. */
export function hostEventToProto({ sequence, machine, event }: OutboxEntry, hostName: string): HostEvent {
  return {
    sequence: BigInt(sequence),
    machine: machineToProto(machine, hostName, "without"),
    event: event && eventToProto(event),
  };
}

function common({ number, name, identity, region, zone, address, vmm, labels }: HostIdentity) {
  return {
    ...{ number, name, identity, region, zone, address },
    vmm: `${vmm.name} ${vmm.version}`.trim(),
    acceleration: vmm.acceleration,
    isolation: vmm.isolation,
    vmmReason: vmm.reason,
    labels: { ...labels },
  };
}

function diskToProto(space: DiskSpace | undefined): Pick<Status, "diskFreeMb" | "diskReserveMb"> {
  if (!space) return {};
  const { freeMb, reserveMb } = shownSpace(space);
  return { diskFreeMb: BigInt(freeMb), diskReserveMb: BigInt(reserveMb) };
}

function resourcesToProto({ cpus, memoryMb, diskMb }: Resources): WireResources {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}
