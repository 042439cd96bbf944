import type * as pbAttach from "../../gen/windhover/scheduler/v1/attach.ts";
import * as pbHost from "../../gen/windhover/scheduler/v1/host.ts";
import type * as pb from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import { mapFromProto, mapToProto } from "../../lib/grpc/messages/maps.ts";
import {
  type Bid,
  type BidTerms,
  type Decline,
  declineReason,
  type Offer,
  type Resources,
} from "../auctions/offer.ts";
import type { AttachedHost, HostInfo, HostStatus, Scheduling } from "./attached-host.ts";

/** The highest host number: 20 bits of a machine's id. */
const MAX_HOST_NUMBER = 2 ** 20 - 1;
/** Labels of a host, and labels that may be asked for. */
const MAX_LABELS = 64;
const ID = /^[\w.:-]{1,128}$/;
const NAME = /^[\w.-]{1,253}$/;
const ADDRESS = /^(?:unix:\S{1,200}|\S{1,253}:\d{1,5})$/;

const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

const SCHEDULING_TO_PROTO: Readonly<Record<Scheduling, pbHost.Scheduling>> = {
  open: pbHost.Scheduling.OPEN,
  cordoned: pbHost.Scheduling.CORDONED,
  draining: pbHost.Scheduling.DRAINING,
};

const SCHEDULING_FROM_PROTO: Readonly<Record<pbHost.Scheduling, Scheduling>> = {
  [pbHost.Scheduling.UNSPECIFIED]: "open",
  [pbHost.Scheduling.OPEN]: "open",
  [pbHost.Scheduling.CORDONED]: "cordoned",
  [pbHost.Scheduling.DRAINING]: "draining",
  [pbHost.Scheduling.UNRECOGNIZED]: "open",
};

/** Checks fields. Each converter of a request throws INVALID_ARGUMENT / `INVALID_FIELDS` when any is wrong. */
export class RequestViolations extends Violations {
  id(text: string, field: string): void {
    this.check(ID.test(text), field, "must be 1 to 128 letters, digits, dots, colons, dashes or underscores");
  }

  hostNumber(number: number, field: string): void {
    this.check(number >= 0 && number <= MAX_HOST_NUMBER, field, `must be from 0 to ${MAX_HOST_NUMBER}`);
  }

  labels(labels: Readonly<Record<string, string>>, field: string): void {
    this.check(Object.keys(labels).length <= MAX_LABELS, field, `must be at most ${MAX_LABELS}`);
  }

  resources(resources: pbHost.Resources | undefined, field: string): Resources {
    if (!resources) {
      this.add(field, "must be set");
      return NOTHING;
    }
    this.check(resources.cpus > 0, `${field}.cpus`, "must be at least 1");
    this.check(resources.memoryMb > 0n, `${field}.memory_mb`, "must be at least 1");
    this.check(resources.diskMb >= 0n, `${field}.disk_mb`, "must not be negative");
    return resourcesFromProto(resources);
  }
}

/**
 * @param region the scheduler's
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS`, FAILED_PRECONDITION / `WRONG_REGION`
 */
export function hostInfoFromProto(hello: pbHost.HostInfo, region: string): HostInfo {
  const violations = new RequestViolations();
  violations.hostNumber(hello.number, "hello.number");
  violations.check(NAME.test(hello.name), "hello.name", "must be a name of letters, digits, dots and dashes");
  violations.id(hello.identity, "hello.identity");
  violations.check(ADDRESS.test(hello.address), "hello.address", "must be host:port or unix:/path");
  const capacity = violations.resources(hello.capacity, "hello.capacity");
  const labels = mapFromProto(hello.labels);
  violations.labels(labels, "hello.labels");
  violations.throwIfAny();
  if (hello.region !== region) {
    throw new Fault(
      "FAILED_PRECONDITION",
      "WRONG_REGION",
      `this scheduler serves the region ${region}, not ${hello.region}`,
      { region, host_region: hello.region, name: hello.name },
    );
  }
  return { ...hello, capacity, labels };
}

export function statusFromProto(status: pbHost.Status): HostStatus {
  return {
    held: resourcesFromProto(status.held),
    allocated: resourcesFromProto(status.allocated),
    running: resourcesFromProto(status.running),
    machines: mapFromProto(status.machines),
    load: status.load,
    warmVms: status.warmVms,
    // A host with a newer value declines by itself.
    scheduling: SCHEDULING_FROM_PROTO[status.scheduling] ?? "open",
    diskFreeMb: status.diskFreeMb === undefined ? undefined : Number(status.diskFreeMb),
    diskReserveMb: status.diskReserveMb === undefined ? undefined : Number(status.diskReserveMb),
    outboxStalledS: status.outboxStalledS,
    outboxEvents: status.outboxEvents,
  };
}

/** Takes name and address of the host from its hello, not from the offer. */
export function offerFromProto(
  offer: pbHost.Offer,
  { number, name, address, region, zone }: HostInfo,
): Offer {
  const { epoch, imageLocal, load, warmVms, machines, appMachines, inFlight } = offer;
  return {
    hostNumber: number,
    hostName: name,
    hostAddress: address,
    epoch,
    freeAfter: resourcesFromProto(offer.freeAfter),
    imageLocal,
    load,
    warmVms,
    machines,
    appMachines,
    inFlight,
    region,
    zone,
  };
}

export function declineFromProto(decline: pbAttach.BidDecline): Decline {
  return {
    reason: declineReason(decline.reason),
    largest: decline.largest && resourcesFromProto(decline.largest),
  };
}

export function bidToProto(bid: Bid, terms: BidTerms): pbAttach.BidRequest {
  return {
    reservationId: bid.reservationId,
    resources: resourcesToProto(bid.resources),
    imageDigest: bid.imageDigest,
    app: bid.app,
    hold: durationToProto(terms.holdMs),
    window: durationToProto(terms.windowMs),
    traceparent: terms.traceparent,
    distinctHosts: bid.placement.distinctHosts,
  };
}

export function hostToProto(host: AttachedHost, backoffUntil: Date | undefined): pb.AttachedHost {
  const { info, status, attachedAt, lastSeenAt } = host;
  return {
    info: { ...info, capacity: resourcesToProto(info.capacity), labels: mapToProto(info.labels) },
    status: status && {
      held: resourcesToProto(status.held),
      allocated: resourcesToProto(status.allocated),
      running: resourcesToProto(status.running),
      machines: mapToProto(status.machines),
      load: status.load,
      warmVms: status.warmVms,
      scheduling: SCHEDULING_TO_PROTO[status.scheduling],
      diskFreeMb: status.diskFreeMb === undefined ? undefined : BigInt(status.diskFreeMb),
      diskReserveMb: status.diskReserveMb === undefined ? undefined : BigInt(status.diskReserveMb),
      outboxStalledS: status.outboxStalledS,
      outboxEvents: status.outboxEvents,
    },
    backoffUntilTime: backoffUntil,
    attachTime: new Date(attachedAt),
    lastSeenTime: new Date(lastSeenAt),
  };
}

export function resourcesToProto({ cpus, memoryMb, diskMb }: Resources): pbHost.Resources {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}

function resourcesFromProto(resources: pbHost.Resources | undefined): Resources {
  if (!resources) return NOTHING;
  const { cpus, memoryMb, diskMb } = resources;
  return { cpus, memoryMb: Number(memoryMb), diskMb: Number(diskMb) };
}
