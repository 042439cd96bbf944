import type {
  DrainHostResponse,
  Host,
  Capacity as WireCapacity,
} from "../../gen/windhover/admin/v1/hosts.ts";
import { type Resources, Scheduling, type Status } from "../../gen/windhover/scheduler/v1/host.ts";
import type { AttachedHost } from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { mapToProto } from "../../lib/grpc/messages/maps.ts";
import type { Capacity, HostEntry } from "../hosts/host-table.ts";
import { stateToProto } from "../machines/convert-machine.ts";
import { timeToProto } from "../requests/convert-time.ts";
import type { DrainProgress } from "./drain.ts";

/** What is known of a host, by source. */
export interface HostFacts {
  readonly number: number;
  readonly region: string;
  /** From the table and the database; absent: never announced. */
  readonly entry: HostEntry | undefined;
  /** From its scheduler, when it is attached. */
  readonly attached: AttachedHost | undefined;
  /** Sources that did not answer. */
  readonly missing: readonly string[];
}

/** The scheduler is more current than the table. */
export function hostToProto({ number, region, entry, attached, missing }: HostFacts, nowMs: number): Host {
  const info = attached?.info;
  const status = attached?.status;
  const seenMs = Math.max(entry?.lastSeenMs ?? 0, attached?.lastSeenTime?.getTime() ?? 0);
  const silentS = Math.max(0, Math.round((nowMs - seenMs) / 1_000));
  const isAway = !attached && missing.length === 0;
  const notes = [
    ...(isAway ? [`not attached: no word for ${silentS} s`] : missing),
    ...(status ? [...diskNotes(status), ...outboxNotes(status)] : []),
  ];
  return {
    number,
    name: info?.name ?? entry?.name ?? "",
    region,
    zone: info?.zone ?? entry?.zone ?? "",
    address: info?.address ?? entry?.address ?? "",
    attached: attached !== undefined,
    attachTime: attached?.attachTime,
    lastSeenTime: timeToProto(seenMs),
    capacity: resourcesToProto(info?.capacity) ?? capacityToProto(entry?.capacity),
    held: resourcesToProto(status?.held),
    allocated: resourcesToProto(status?.allocated),
    running: resourcesToProto(status?.running),
    machines: status?.machines ?? new Map(),
    vmm: info?.vmm ?? entry?.vmm ?? "",
    acceleration: info?.acceleration ?? entry?.acceleration ?? "",
    isolation: info?.isolation ?? entry?.isolation ?? "",
    vmmReason: info?.vmmReason ?? entry?.vmmReason ?? "",
    statusMessage: notes.join("; "),
    scheduling: status?.scheduling ?? Scheduling.UNSPECIFIED,
    labels: info?.labels ?? mapToProto(entry?.labels),
    warmVms: status?.warmVms ?? 0,
    backoffUntilTime: attached?.backoffUntilTime,
    diskFreeMb: status?.diskFreeMb,
    diskReserveMb: status?.diskReserveMb,
    outboxStalledS: status?.outboxStalledS,
    outboxEvents: status?.outboxEvents,
  };
}

export function drainToProto({ host, machine, problem = "", done, total }: DrainProgress): DrainHostResponse {
  return {
    hostNumber: host.number,
    machineId: machine?.id ?? "",
    state: stateToProto(machine?.state ?? "unknown"),
    problem,
    done,
    total,
  };
}

/** Explains a host that takes no machines because its disk is almost full. */
function diskNotes({ diskFreeMb, diskReserveMb }: Status): string[] {
  if (diskFreeMb === undefined || diskReserveMb === undefined || diskFreeMb >= diskReserveMb) return [];
  return [
    `disk all but full: ${diskFreeMb} MB free, and ${diskReserveMb} MB are kept for the machines there; no new ones until there is more`,
  ];
}

/** Explains a host of whose changes the database learns nothing. */
function outboxNotes({ outboxStalledS, outboxEvents = 0n }: Status): string[] {
  if (outboxStalledS === undefined) return [];
  return [`outbox stalled for ${outboxStalledS} s: ${outboxEvents} changes are not in the database`];
}

function resourcesToProto(resources: Resources | undefined): WireCapacity | undefined {
  return resources && { cpus: resources.cpus, memoryMb: resources.memoryMb, diskMb: resources.diskMb };
}

function capacityToProto(capacity: Capacity | undefined): WireCapacity | undefined {
  if (!capacity) return undefined;
  return { cpus: capacity.cpus, memoryMb: BigInt(capacity.memoryMb), diskMb: BigInt(capacity.diskMb) };
}
