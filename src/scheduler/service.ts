import type { SchedulerServiceServer } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { requireScope } from "../lib/auth/claims.ts";
import { bidiWire, unary } from "../lib/grpc/server/rpc.ts";
import {
  checkClaim,
  checkRelease,
  offerToProto,
  pageFromProto,
  pageToProto,
  reserveRequestFromProto,
  reserveResponseToProto,
} from "./convert.ts";
import { hostPageToProto } from "./hosts/convert-list.ts";
import type { Hosts } from "./hosts/hosts.ts";
import { Attachment, type Replica } from "./hosts/service-attach.ts";
import type { Reservations } from "./reservations/reservations.ts";

export function schedulerService(
  reservations: Reservations,
  hosts: Hosts,
  replica: Replica,
): SchedulerServiceServer {
  return {
    reserve: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const live = await reservations.reserve(reserveRequestFromProto(req));
      return reserveResponseToProto(live, req.claimant);
    }),
    claim: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      checkClaim(req);
      const offer = await reservations.claim(req.reservationId, req.claimant, req.hostNumber);
      return { offer: offerToProto(offer) };
    }),
    release: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      checkRelease(req);
      await reservations.release(req.reservationId, req.awardedHost, req.refusedHosts);
      return {};
    }),
    listReservations: unary(async (req, ctx) => {
      requireScope(ctx, "internal");
      const { size, after } = pageFromProto(req);
      // One more tells whether there is another page.
      const { listed, total } = await reservations.list(size + 1, after);
      return { ...pageToProto(listed, size), total };
    }),
    listHosts: unary((req, ctx) => {
      requireScope(ctx, "internal");
      return hostPageToProto(hosts.all(), req, (number) => {
        const backoffMs = hosts.refusals.backoffLeftMs(number);
        return backoffMs > 0 ? new Date(Date.now() + backoffMs) : undefined;
      });
    }),
    // Ends by itself at shutdown, once no auction needs its host.
    attach: bidiWire((wire, ctx) => {
      requireScope(ctx, "internal");
      return new Attachment(wire, ctx.draining, hosts, replica);
    }),
  };
}
