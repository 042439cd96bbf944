import type { AcquireLeaseRequest, LeasesServiceServer } from "../../gen/windhover/machines/v1/leases.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { bytes, isPlain, PLAIN } from "../machines/config/text.ts";
import { leaseToProto } from "../machines/convert-machine.ts";
import type { MachineId } from "../machines/ids/machine-id.ts";
import { checkToken, machineRequest } from "../machines/machine-request.ts";
import { authorize } from "../requests/authorize.ts";
import { checkRequestId } from "../requests/names.ts";
import { checkTtl, type LeaseRequest, type Leases } from "./leases.ts";

const DEFAULT_TTL_MS = 30_000;
const MAX_DESCRIPTION_BYTES = 256;

export function leasesService(leases: Leases): LeasesServiceServer {
  return {
    acquireLease: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const lease = await leases.acquire(...leaseFromProto(req), caller);
      return { lease: leaseToProto(lease, lease.nonce) };
    }),
    getLease: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const [id] = machineRequest(req.machineId, () => undefined);
      const lease = await leases.get(id, caller);
      return { lease: leaseToProto(lease, lease.nonce) };
    }),
    releaseLease: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const [id, nonce] = machineRequest(req.machineId, (violations) => {
        violations.check(req.nonce !== "", "nonce", "is required");
        checkToken("nonce", req.nonce, violations);
        return req.nonce;
      });
      await leases.release(id, nonce, caller);
      return {};
    }),
  };
}

function leaseFromProto(req: AcquireLeaseRequest): readonly [MachineId, Omit<LeaseRequest, "owner">] {
  const { description, nonce, requestId } = req;
  return machineRequest(req.machineId, (violations) => {
    const ttlMs = durationFromProto(req.ttl) ?? DEFAULT_TTL_MS;
    checkTtl("ttl", ttlMs, violations);
    const isShort = bytes(description) <= MAX_DESCRIPTION_BYTES;
    violations.check(isShort, "description", `must have at most ${MAX_DESCRIPTION_BYTES} bytes`);
    violations.check(isPlain(description), "description", PLAIN);
    checkToken("nonce", nonce, violations);
    if (requestId !== "") violations.add("request_id", checkRequestId(requestId));
    return { ttlMs, description, nonce, requestId };
  });
}
