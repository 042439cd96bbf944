import * as wire from "../gen/windhover/machines/v1/machine.ts";
import * as pb from "../gen/windhover/scheduler/v1/scheduler.ts";
import { durationToProto } from "../lib/grpc/duration.ts";
import { Fault } from "../lib/runtime/fault.ts";
import { Violations } from "../lib/runtime/violations.ts";
import { type Bid, type Decline, declineReason, type Offer, type Resources } from "./auctions/offer.ts";
import { ANYWHERE, type Placement } from "./auctions/placement.ts";
import type { AttachedHost, BidTerms, HostInfo, HostStatus, Scheduling } from "./hosts/attached-host.ts";
import type { Claim, Living, Reservation } from "./reservations/reservation-store.ts";
import type { ReserveRequest } from "./reservations/reservations.ts";

/** The highest host number: 20 bits of a machine's id. */
const MAX_HOST_NUMBER = 2 ** 20 - 1;
/** Hosts a caller may exclude: more have not refused it in one create. */
const MAX_EXCLUDED = 1_024;
/** Labels of a host, and labels that may be asked for: an api asks for fewer. */
const MAX_LABELS = 64;
const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
const ID = /^[\w.:-]{1,128}$/;
const NAME = /^[\w.-]{1,253}$/;
const ADDRESS = /^(?:unix:\S{1,200}|\S{1,253}:\d{1,5})$/;

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function toReserveRequest(req: pb.ReserveRequest): ReserveRequest {
  const violations = new RequestViolations();
  violations.check(ID.test(req.reservationId), "reservation_id", ID_RULE);
  const resources = violations.resources(req.resources, "resources");
  violations.check(req.imageDigest.length <= 256, "image_digest", "must have at most 256 characters");
  violations.check(req.app.length <= 128, "app", "must have at most 128 characters");
  violations.check(
    req.excludedHosts.length <= MAX_EXCLUDED,
    "excluded_hosts",
    `must be at most ${MAX_EXCLUDED} hosts`,
  );
  const placement = violations.placement(req.placement);
  const { reservationId, imageDigest, app, claimant = "" } = req;
  violations.check(claimant === "" || ID.test(claimant), "claimant", ID_RULE);
  violations.throwIfAny();
  return {
    bid: { reservationId, resources, imageDigest, app, placement },
    excluded: new Set(req.excludedHosts),
    ...(claimant === "" ? {} : { claimant }),
  };
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function checkClaim(req: pb.ClaimRequest): void {
  const violations = new RequestViolations();
  violations.check(ID.test(req.reservationId), "reservation_id", ID_RULE);
  violations.check(ID.test(req.claimant), "claimant", ID_RULE);
  violations.hostNumber(req.hostNumber, "host_number");
  violations.throwIfAny();
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function checkRelease(req: pb.ReleaseRequest): void {
  const violations = new RequestViolations();
  violations.check(ID.test(req.reservationId), "reservation_id", ID_RULE);
  if (req.awardedHost !== undefined) violations.hostNumber(req.awardedHost, "awarded_host");
  violations.check(
    req.refusedHosts.length <= MAX_EXCLUDED,
    "refused_hosts",
    `must be at most ${MAX_EXCLUDED} hosts`,
  );
  for (const number of req.refusedHosts.slice(0, MAX_EXCLUDED))
    violations.hostNumber(number, "refused_hosts");
  violations.throwIfAny();
}

/**
 * Who a host says it is.
 *
 * @param region the scheduler's
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS`, FAILED_PRECONDITION / `WRONG_REGION`
 */
export function toHostInfo(hello: pb.HostInfo, region: string): HostInfo {
  const violations = new RequestViolations();
  violations.hostNumber(hello.number, "hello.number");
  violations.check(NAME.test(hello.name), "hello.name", "must be a name of letters, digits, dots and dashes");
  violations.check(ID.test(hello.identity), "hello.identity", ID_RULE);
  violations.check(ADDRESS.test(hello.address), "hello.address", "must be host:port or unix:/path");
  const capacity = violations.resources(hello.capacity, "hello.capacity");
  violations.check(
    Object.keys(hello.labels).length <= MAX_LABELS,
    "hello.labels",
    `must be at most ${MAX_LABELS}`,
  );
  violations.throwIfAny();
  if (hello.region !== region) {
    throw new Fault(
      "FAILED_PRECONDITION",
      "WRONG_REGION",
      `this scheduler serves the region ${region}, not ${hello.region}`,
      { region, host_region: hello.region, name: hello.name },
    );
  }
  const { number, name, identity, zone, address, vmm, acceleration, isolation, vmmReason } = hello;
  return {
    number,
    name,
    identity,
    region,
    zone,
    address,
    capacity,
    vmm,
    acceleration,
    isolation,
    vmmReason,
    labels: hello.labels,
  };
}

/** How a host says it is. */
export function toHostStatus(status: pb.Status): HostStatus {
  return {
    held: toResources(status.held),
    allocated: toResources(status.allocated),
    running: toResources(status.running),
    machines: status.machines,
    load: status.load,
    warmVms: status.warmVms,
    scheduling: schedulingFrom(status.scheduling),
    diskFreeMb: status.diskFreeMb === undefined ? undefined : Number(status.diskFreeMb),
    diskReserveMb: status.diskReserveMb === undefined ? undefined : Number(status.diskReserveMb),
  };
}

/** A host's offer. Who and where the host is comes from its hello, whatever the offer says. */
export function toOffer(offer: pb.Offer, { number, name, address, region, zone }: HostInfo): Offer {
  const { epoch, imageLocal, load, warmVms, machines, appMachines, inFlight } = offer;
  return {
    hostNumber: number,
    hostName: name,
    hostAddress: address,
    epoch,
    freeAfter: toResources(offer.freeAfter),
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

/** A host's no. */
export function toDecline(decline: pb.BidDecline): Decline {
  return {
    reason: declineReason(decline.reason),
    largest: decline.largest && toResources(decline.largest),
  };
}

/** A bid request for a host. */
export function fromBid(bid: Bid, terms: BidTerms): pb.BidRequest {
  return {
    reservationId: bid.reservationId,
    resources: fromResources(bid.resources),
    imageDigest: bid.imageDigest,
    app: bid.app,
    hold: durationToProto(terms.holdMs),
    window: durationToProto(terms.windowMs),
    traceparent: terms.traceparent,
    distinctHosts: bid.placement.distinctHosts,
  };
}

/** An offer on the wire. */
export function fromOffer(offer: Offer): pb.Offer {
  return { ...offer, freeAfter: fromResources(offer.freeAfter) };
}

/** What is answered to somebody who reserves for this claimant: `claimed_host` only when it is the one that has the reservation. */
export function fromReserved({ reservation, claim }: Living, claimant = ""): pb.ReserveResponse {
  const claimedHost = claim?.claimant === claimant ? claim.hostNumber : undefined;
  return {
    reservation: fromReservation(reservation, claim),
    hostsAsked: reservation.hostsAsked,
    claimedHost,
  };
}

/** A reservation on the wire. */
export function fromReservation(reservation: Reservation, claim?: Claim): pb.Reservation {
  const { id, offers, deadlineMs, app, resources } = reservation;
  return {
    id,
    offers: offers.map(fromOffer),
    expireTime: new Date(deadlineMs),
    claimant: claim?.claimant ?? "",
    claimedHost: claim?.hostNumber,
    app,
    resources: fromResources(resources),
  };
}

/**
 * How many to list.
 *
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS`
 */
export function toPageSize({ pageSize }: pb.ListReservationsRequest): number {
  const violations = new RequestViolations();
  violations.check(pageSize >= 0 && pageSize <= MAX_PAGE, "page_size", `must be from 1 to ${MAX_PAGE}`);
  violations.throwIfAny();
  return pageSize || DEFAULT_PAGE;
}

/** An attached host on the wire. */
export function fromHost(host: AttachedHost, backoffUntil: Date | undefined): pb.AttachedHost {
  const { info, status, attachedAt, lastSeenAt } = host;
  return {
    info: { ...info, capacity: fromResources(info.capacity), labels: { ...info.labels } },
    status: status && {
      held: fromResources(status.held),
      allocated: fromResources(status.allocated),
      running: fromResources(status.running),
      machines: { ...status.machines },
      load: status.load,
      warmVms: status.warmVms,
      scheduling: SCHEDULING[status.scheduling],
      diskFreeMb: status.diskFreeMb === undefined ? undefined : BigInt(status.diskFreeMb),
      diskReserveMb: status.diskReserveMb === undefined ? undefined : BigInt(status.diskReserveMb),
    },
    backoffUntilTime: backoffUntil,
    attachTime: new Date(attachedAt),
    lastSeenTime: new Date(lastSeenAt),
  };
}

const ID_RULE = "must be 1 to 128 letters, digits, dots, colons, dashes or underscores";

/** Adds the checks of what several requests have in common. */
class RequestViolations extends Violations {
  hostNumber(number: number, field: string): void {
    this.check(number >= 0 && number <= MAX_HOST_NUMBER, field, `must be from 0 to ${MAX_HOST_NUMBER}`);
  }

  placement(written: wire.Placement | undefined): Placement {
    if (!written) return ANYWHERE;
    const { hostLabels, hostNumber, strategy, distinctHosts } = written;
    this.check(
      Object.keys(hostLabels).length <= MAX_LABELS,
      "placement.host_labels",
      `must be at most ${MAX_LABELS}`,
    );
    if (hostNumber !== undefined) this.hostNumber(hostNumber, "placement.host_number");
    const packs = strategy === wire.PlacementStrategy.PACK;
    return { hostLabels, hostNumber, strategy: packs ? "pack" : "spread", distinctHosts };
  }

  resources(written: pb.Resources | undefined, field: string): Resources {
    if (!written) {
      this.check(false, field, "must be set");
      return NOTHING;
    }
    this.check(written.cpus > 0, `${field}.cpus`, "must be at least 1");
    this.check(written.memoryMb > 0n, `${field}.memory_mb`, "must be at least 1");
    this.check(written.diskMb >= 0n, `${field}.disk_mb`, "must not be negative");
    return toResources(written);
  }
}

const SCHEDULING: Readonly<Record<Scheduling, pb.Scheduling>> = {
  open: pb.Scheduling.OPEN,
  cordoned: pb.Scheduling.CORDONED,
  draining: pb.Scheduling.DRAINING,
};

/** A host that says something newer than we know takes machines, as far as we can tell: it declines by itself. */
function schedulingFrom(written: pb.Scheduling): Scheduling {
  if (written === pb.Scheduling.CORDONED) return "cordoned";
  return written === pb.Scheduling.DRAINING ? "draining" : "open";
}

const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

function toResources(written: pb.Resources | undefined): Resources {
  if (!written) return NOTHING;
  return { cpus: written.cpus, memoryMb: Number(written.memoryMb), diskMb: Number(written.diskMb) };
}

function fromResources({ cpus, memoryMb, diskMb }: Resources): pb.Resources {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}
