import type { AnnounceHostRequest } from "../../gen/windhover/admin/v1/hosts.ts";
import { type HostInfo, Scheduling as WireScheduling } from "../../gen/windhover/scheduler/v1/host.ts";
import { mapFromProto } from "../../lib/grpc/messages/maps.ts";
import type { AnnouncedHost, Scheduling } from "./host-table.ts";

const SCHEDULING_FROM_PROTO: Record<WireScheduling, Scheduling> = {
  [WireScheduling.UNSPECIFIED]: "unknown",
  [WireScheduling.OPEN]: "open",
  [WireScheduling.CORDONED]: "cordoned",
  [WireScheduling.DRAINING]: "draining",
  [WireScheduling.UNRECOGNIZED]: "unknown",
};

const SCHEDULING_TO_PROTO: Record<Scheduling, WireScheduling> = {
  unknown: WireScheduling.UNSPECIFIED,
  open: WireScheduling.OPEN,
  cordoned: WireScheduling.CORDONED,
  draining: WireScheduling.DRAINING,
};

/** Converts a host as it announces itself, by itself or when it is asked. */
export function announcedFromProto(host: HostInfo | AnnounceHostRequest): AnnouncedHost {
  const { number, identity, name, region, zone, address, vmm, acceleration, isolation, vmmReason } = host;
  const capacity = {
    cpus: host.capacity?.cpus ?? 0,
    memoryMb: Number(host.capacity?.memoryMb ?? 0n),
    diskMb: Number(host.capacity?.diskMb ?? 0n),
  };
  const place = { number, identity, name, region, zone, address };
  return { ...place, capacity, vmm, acceleration, isolation, vmmReason, labels: mapFromProto(host.labels) };
}

export function schedulingFromProto(scheduling: WireScheduling): Scheduling {
  return SCHEDULING_FROM_PROTO[scheduling] ?? "unknown";
}

export function schedulingToProto(scheduling: Scheduling): WireScheduling {
  return SCHEDULING_TO_PROTO[scheduling];
}
