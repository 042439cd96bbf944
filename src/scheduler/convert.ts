import type { Duration } from "../gen/google/protobuf/duration.ts";
import * as pb from "../gen/windhover/scheduler/v1/scheduler.ts";
import { Fault, invalid, type Violation } from "../lib/fault.ts";
import type { AttachedHost, BidTerms, HostInfo, HostStatus } from "./domain/attached-host.ts";
import { type Bid, type Decline, declineReason, type Offer, type Resources } from "./domain/offer.ts";
import type { Reservation } from "./domain/reservation-store.ts";
import type { ReserveRequest } from "./domain/reservations.ts";

/** The highest host number: 20 bits of a machine's id. */
const MAX_HOST_NUMBER = 2 ** 20 - 1;
/** Hosts a caller may exclude: more have not refused it in one create. */
const MAX_EXCLUDED = 1_024;
const ID = /^[\w.:-]{1,128}$/;
const NAME = /^[\w.-]{1,253}$/;
const ADDRESS = /^(?:unix:\S{1,200}|\S{1,253}:\d{1,5})$/;

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function toReserveRequest(req: pb.ReserveRequest): ReserveRequest {
  const check = new Check();
  check.that(ID.test(req.reservationId), "reservation_id", ID_RULE);
  const resources = check.resources(req.resources, "resources");
  check.that(req.imageDigest.length <= 256, "image_digest", "must have at most 256 characters");
  check.that(req.app.length <= 128, "app", "must have at most 128 characters");
  check.that(
    req.excludedHosts.length <= MAX_EXCLUDED,
    "excluded_hosts",
    `must be at most ${MAX_EXCLUDED} hosts`,
  );
  check.done();
  const { reservationId, imageDigest, app } = req;
  return { bid: { reservationId, resources, imageDigest, app }, excluded: new Set(req.excludedHosts) };
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function checkClaim(req: pb.ClaimRequest): void {
  const check = new Check();
  check.that(ID.test(req.reservationId), "reservation_id", ID_RULE);
  check.that(ID.test(req.claimant), "claimant", ID_RULE);
  check.hostNumber(req.hostNumber, "host_number");
  check.done();
}

/** @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with everything that is wrong */
export function checkRelease(req: pb.ReleaseRequest): void {
  const check = new Check();
  check.that(ID.test(req.reservationId), "reservation_id", ID_RULE);
  if (req.winner !== undefined) check.hostNumber(req.winner, "winner");
  check.done();
}

/**
 * Who a host says it is.
 *
 * @param region the scheduler's
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS`, FAILED_PRECONDITION / `WRONG_REGION`
 */
export function toHostInfo(hello: pb.Hello, region: string): HostInfo {
  const check = new Check();
  check.hostNumber(hello.number, "hello.number");
  check.that(NAME.test(hello.name), "hello.name", "must be a name of letters, digits, dots and dashes");
  check.that(ID.test(hello.identity), "hello.identity", ID_RULE);
  check.that(ADDRESS.test(hello.address), "hello.address", "must be host:port or unix:/path");
  const capacity = check.resources(hello.capacity, "hello.capacity");
  check.done();
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
  };
}

/** A host's offer. Who and where the host is comes from its hello, whatever the offer says. */
export function toOffer(offer: pb.Offer, { number, name, address, region, zone }: HostInfo): Offer {
  const { epoch, imageLocal, load, warm, machines, appMachines } = offer;
  return {
    hostNumber: number,
    hostName: name,
    hostAddress: address,
    epoch,
    freeAfter: toResources(offer.freeAfter),
    imageLocal,
    load,
    warm,
    machines,
    appMachines,
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
    hold: fromMs(terms.holdMs),
    window: fromMs(terms.windowMs),
    traceparent: terms.traceparent,
    distinctHosts: false,
  };
}

/** An offer on the wire. */
export function fromOffer(offer: Offer): pb.Offer {
  return { ...offer, freeAfter: fromResources(offer.freeAfter), inFlight: 0 };
}

/** A reservation on the wire. */
export function fromReservation({ id, offers, deadlineMs }: Reservation): pb.Reservation {
  const unclaimed = { claimant: "", claimedHost: undefined, app: "", resources: undefined };
  return { id, offers: offers.map(fromOffer), expireTime: new Date(deadlineMs), ...unclaimed };
}

/** An attached host on the wire. */
export function fromHost({ info, status, attachedAt, lastSeenAt }: AttachedHost): pb.AttachedHost {
  return {
    hello: { ...info, capacity: fromResources(info.capacity), labels: {} },
    status: status && {
      held: fromResources(status.held),
      allocated: fromResources(status.allocated),
      running: fromResources(status.running),
      machines: { ...status.machines },
      load: status.load,
      warm: 0,
      scheduling: pb.Scheduling.OPEN,
    },
    passedOverUntilTime: undefined,
    attachTime: new Date(attachedAt),
    lastSeenTime: new Date(lastSeenAt),
  };
}

const ID_RULE = "must be 1 to 128 letters, digits, dots, colons, dashes or underscores";

/** Collects what is wrong with a request, to say it all at once. */
class Check {
  readonly #violations: Violation[] = [];

  that(holds: boolean, field: string, description: string): void {
    if (!holds) this.#violations.push({ field, description });
  }

  hostNumber(number: number, field: string): void {
    this.that(number >= 0 && number <= MAX_HOST_NUMBER, field, `must be from 0 to ${MAX_HOST_NUMBER}`);
  }

  resources(written: pb.Resources | undefined, field: string): Resources {
    if (!written) {
      this.that(false, field, "must be set");
      return NOTHING;
    }
    this.that(written.cpus > 0, `${field}.cpus`, "must be at least 1");
    this.that(written.memoryMb > 0n, `${field}.memory_mb`, "must be at least 1");
    this.that(written.diskMb >= 0n, `${field}.disk_mb`, "must not be negative");
    return toResources(written);
  }

  done(): void {
    if (this.#violations.length > 0) throw invalid(this.#violations);
  }
}

const NOTHING: Resources = { cpus: 0, memoryMb: 0, diskMb: 0 };

function toResources(written: pb.Resources | undefined): Resources {
  if (!written) return NOTHING;
  return { cpus: written.cpus, memoryMb: Number(written.memoryMb), diskMb: Number(written.diskMb) };
}

function fromResources({ cpus, memoryMb, diskMb }: Resources): pb.Resources {
  return { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(diskMb) };
}

function fromMs(ms: number): Duration {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}
