import { PlacementStrategy, type Placement as WirePlacement } from "../gen/windhover/machines/v1/machine.ts";
import type * as pbHost from "../gen/windhover/scheduler/v1/host.ts";
import type * as pb from "../gen/windhover/scheduler/v1/scheduler.ts";
import { Reservation as ReservationProto } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { MAX_LIST_BYTES, takeBytes } from "../lib/grpc/messages/batches.ts";
import { mapFromProto } from "../lib/grpc/messages/maps.ts";
import type { Offer } from "./auctions/offer.ts";
import { ANYWHERE, type Placement, type Strategy } from "./auctions/placement.ts";
import { RequestViolations, resourcesToProto } from "./hosts/convert.ts";
import type { LiveReservation } from "./reservations/reservation-store.ts";
import type { ReserveRequest } from "./reservations/reservations.ts";

/** Excluded hosts, and hosts that refused: more have not refused in one create. */
const MAX_HOSTS_NAMED = 1_024;
const DEFAULT_PAGE = 100;
const MAX_PAGE = 1_000;
/** Of a page token: deadline and id of the last reservation. */
const POSITION = /^(\d{1,15}) (\S{1,128})$/;

const STRATEGY_FROM_PROTO: Readonly<Record<PlacementStrategy, Strategy>> = {
  [PlacementStrategy.UNSPECIFIED]: "spread",
  [PlacementStrategy.SPREAD]: "spread",
  [PlacementStrategy.PACK]: "pack",
  [PlacementStrategy.UNRECOGNIZED]: "spread",
};

export function reserveRequestFromProto(req: pb.ReserveRequest): ReserveRequest {
  const { reservationId, imageDigest, app, excludedHosts, claimant = "" } = req;
  const violations = new RequestViolations();
  violations.id(reservationId, "reservation_id");
  const resources = violations.resources(req.resources, "resources");
  violations.check(imageDigest.length <= 256, "image_digest", "must have at most 256 characters");
  violations.check(app.length <= 128, "app", "must have at most 128 characters");
  checkCount(violations, excludedHosts, "excluded_hosts");
  const placement = placementFromProto(violations, req.placement);
  if (claimant !== "") violations.id(claimant, "claimant");
  violations.throwIfAny();
  return {
    bid: { reservationId, resources, imageDigest, app, placement },
    excluded: new Set(excludedHosts),
    ...(claimant === "" ? {} : { claimant }),
  };
}

export function checkClaim(req: pb.ClaimRequest): void {
  const violations = new RequestViolations();
  violations.id(req.reservationId, "reservation_id");
  violations.id(req.claimant, "claimant");
  violations.hostNumber(req.hostNumber, "host_number");
  violations.throwIfAny();
}

export function checkRelease({ reservationId, awardedHost, refusedHosts }: pb.ReleaseRequest): void {
  const violations = new RequestViolations();
  violations.id(reservationId, "reservation_id");
  if (awardedHost !== undefined) violations.hostNumber(awardedHost, "awarded_host");
  checkCount(violations, refusedHosts, "refused_hosts");
  for (const number of refusedHosts.slice(0, MAX_HOSTS_NAMED)) violations.hostNumber(number, "refused_hosts");
  violations.throwIfAny();
}

/** Reads how many reservations are wanted, and behind which one. */
export function pageFromProto({ pageSize, pageToken }: pb.ListReservationsRequest) {
  const violations = new RequestViolations();
  violations.check(pageSize >= 0 && pageSize <= MAX_PAGE, "page_size", `must be from 1 to ${MAX_PAGE}`);
  const [, deadlineMs, id = ""] = POSITION.exec(Buffer.from(pageToken, "base64url").toString()) ?? [];
  const isToken = pageToken === "" || deadlineMs !== undefined;
  violations.check(isToken, "page_token", "must be the next_page_token of a page");
  violations.throwIfAny();
  const after = deadlineMs === undefined ? undefined : { deadlineMs: Number(deadlineMs), id };
  return { size: pageSize || DEFAULT_PAGE, after };
}

/** Makes a page: as many reservations as fit, and the token of the next if there are more. */
export function pageToProto(
  listed: readonly LiveReservation[],
  size: number,
): Pick<pb.ListReservationsResponse, "reservations" | "nextPageToken"> {
  const bytesOf = (each: pb.Reservation) => ReservationProto.encode(each).finish().length;
  const reservations = takeBytes(listed.slice(0, size).map(reservationToProto), MAX_LIST_BYTES, bytesOf);
  const last = listed[reservations.length - 1]?.reservation;
  const isLast = last === undefined || reservations.length === listed.length;
  const nextPageToken = isLast ? "" : Buffer.from(`${last.deadlineMs} ${last.id}`).toString("base64url");
  return { reservations, nextPageToken };
}

export function offerToProto(offer: Offer): pbHost.Offer {
  return { ...offer, freeAfter: resourcesToProto(offer.freeAfter) };
}

/** @param claimant of the request: learns of the claim only when it is its own */
export function reserveResponseToProto(live: LiveReservation, claimant = ""): pb.ReserveResponse {
  const { reservation, claim } = live;
  return {
    reservation: reservationToProto(live),
    hostsAsked: reservation.hostsAsked,
    claimedHost: claim?.claimant === claimant ? claim.hostNumber : undefined,
  };
}

function reservationToProto({ reservation, claim }: LiveReservation): pb.Reservation {
  const { id, offers, deadlineMs, app, resources } = reservation;
  return {
    id,
    offers: offers.map(offerToProto),
    expireTime: new Date(deadlineMs),
    claimant: claim?.claimant ?? "",
    claimedHost: claim?.hostNumber,
    app,
    resources: resourcesToProto(resources),
  };
}

function checkCount(violations: RequestViolations, hosts: readonly number[], field: string): void {
  violations.check(hosts.length <= MAX_HOSTS_NAMED, field, `must be at most ${MAX_HOSTS_NAMED} hosts`);
}

function placementFromProto(violations: RequestViolations, placement: WirePlacement | undefined): Placement {
  if (!placement) return ANYWHERE;
  const { hostNumber, distinctHosts } = placement;
  const hostLabels = mapFromProto(placement.hostLabels);
  violations.labels(hostLabels, "placement.host_labels");
  if (hostNumber !== undefined) violations.hostNumber(hostNumber, "placement.host_number");
  const strategy = STRATEGY_FROM_PROTO[placement.strategy] ?? "spread";
  return { hostLabels, hostNumber, strategy, distinctHosts };
}
