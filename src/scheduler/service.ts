import type { SchedulerServiceServer } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { requireScope } from "../lib/auth/auth.ts";
import { bidiWire, unary } from "../lib/grpc/rpc.ts";
import {
  checkClaim,
  checkRelease,
  fromHost,
  fromOffer,
  fromReservation,
  fromReserved,
  toPageSize,
  toReserveRequest,
} from "./convert.ts";
import type { Hosts } from "./hosts/hosts.ts";
import { Attachment, type Replica } from "./hosts/service-attach.ts";
import type { Reservations } from "./reservations/reservations.ts";

/** Puts {@link Reservations} and {@link Hosts} on the wire: checks and converts, and decides nothing else. */
export function schedulerService(
  reservations: Reservations,
  hosts: Hosts,
  replica: Replica,
): SchedulerServiceServer {
  return {
    reserve: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const reserved = await reservations.reserve(toReserveRequest(req));
      return fromReserved(reserved, req.claimant);
    }),
    claim: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      checkClaim(req);
      const offer = await reservations.claim(req.reservationId, req.claimant, req.hostNumber);
      return { offer: fromOffer(offer) };
    }),
    release: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      checkRelease(req);
      await reservations.release(req.reservationId, req.awardedHost, req.refusedHosts);
      return {};
    }),
    listReservations: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { listed, total } = await reservations.list(toPageSize(req));
      return {
        reservations: listed.map(({ reservation, claim }) => fromReservation(reservation, claim)),
        total,
      };
    }),
    listHosts: unary((_req, ctx) => {
      requireScope(ctx, "internal");
      return {
        hosts: hosts
          .all()
          .toSorted((a, b) => a.info.number - b.info.number)
          .map((host) => fromHost(host, untilTime(hosts.refusals.backoffLeftMs(host.info.number)))),
      };
    }),
    // At shutdown it ends by itself, once no auction needs it.
    attach: bidiWire((wire, ctx) => {
      requireScope(ctx, "internal");
      return new Attachment(wire, ctx.draining, hosts, replica);
    }),
  };
}

/** The time of day in so many milliseconds; none for 0. */
function untilTime(ms: number): Date | undefined {
  return ms > 0 ? new Date(Date.now() + ms) : undefined;
}
