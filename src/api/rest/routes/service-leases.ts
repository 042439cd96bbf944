import { z } from "zod";
import { AcquireLeaseRequest, LeasesServiceService } from "../../../gen/windhover/machines/v1/leases.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { leaseToJson } from "../convert/convert-machine.ts";
import { parseDuration } from "../convert/duration.ts";
import { queryDuration, seconds, text } from "../convert/fields.ts";
import { requestIdOf } from "../requests/idempotency.ts";
import { type Route, route } from "../requests/route.ts";

const TAG = "Leases";
const LEASE = "/v1/apps/:app/machines/:id/lease";

export const leaseRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: LEASE,
    tag: TAG,
    summary: "Returns the lease of a machine with its nonce.",
    answer: "lease",
    rpc: LeasesServiceService.getLease,
    async handle(request) {
      const { lease } = await request.unary({ machineId: await request.machineId() });
      return { body: leaseToJson(lease) };
    },
  }),
  route({
    method: "POST",
    path: LEASE,
    tag: TAG,
    summary: "Acquires the lease of a machine, or refreshes it when the nonce is sent.",
    description:
      "An `Idempotency-Key` makes it safe to repeat: the same key gives the same lease, while it is held.",
    answer: "lease",
    rpc: LeasesServiceService.acquireLease,
    names: { nonce: "fly-machine-lease-nonce" },
    query: z.looseObject({ ttl: queryDuration().describe("Seconds. Default 30.") }),
    body: z.looseObject({
      ttl: seconds().describe("Seconds. Default 30."),
      description: text(),
      request_id: text("The same as an `Idempotency-Key`, which counts when both are there."),
    }),
    status: 201,
    async handle(request) {
      const { query, body } = request.read();
      const ttlMs = query.ttl === undefined ? (body.ttl ?? 0) * 1_000 : parseDuration(query.ttl);
      const { lease } = await request.unary(
        AcquireLeaseRequest.fromPartial({
          machineId: await request.machineId(),
          ttl: ttlMs === 0 ? undefined : durationToProto(ttlMs),
          description: body.description ?? "",
          nonce: request.leaseNonce,
          requestId: requestIdOf(request.arrived.headers["idempotency-key"] || body.request_id),
        }),
      );
      return { body: leaseToJson(lease) };
    },
  }),
  route({
    method: "DELETE",
    path: LEASE,
    tag: TAG,
    summary: "Releases the lease of a machine.",
    answer: "released",
    rpc: LeasesServiceService.releaseLease,
    names: { nonce: "fly-machine-lease-nonce" },
    async handle(request) {
      const machineId = await request.machineId();
      const nonce = request.leaseNonce;
      if (nonce === "")
        throw invalid([{ field: "fly-machine-lease-nonce", description: "is required, a header" }]);
      await request.unary({ machineId, nonce });
      return { body: { status: "success", data: { ok: true } } };
    },
  }),
];
