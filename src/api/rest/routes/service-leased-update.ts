import { AcquireLeaseRequest, LeasesServiceService } from "../../../gen/windhover/machines/v1/leases.ts";
import type { Lease, Machine } from "../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../lib/grpc/messages/duration.ts";
import type { RestRequest } from "../requests/route.ts";

type Changed = Promise<{ readonly machine?: Machine | undefined }>;

/**
 * Updates a machine under a lease that the request asks for. A lease that the caller holds is
 * refreshed; a new one stays after the update, and is released when the update fails.
 *
 * @param asked `leaseSeconds` undefined: no lease is asked for. With a `requestId` a repeat gets the same lease
 * @param update makes the update with a nonce
 * @throws Fault LEASE_HELD, LEASE_NOT_FOUND, and those of the update
 */
export async function updateLeased(
  request: Pick<RestRequest<never, never>, "also" | "leaseNonce">,
  machineId: string,
  { leaseSeconds, requestId }: { readonly leaseSeconds: number | undefined; readonly requestId: string },
  update: (leaseNonce: string) => Changed,
): Promise<Machine | undefined> {
  if (!leaseSeconds) return (await update(request.leaseNonce)).machine;
  const held = request.leaseNonce;
  const ttl = durationToProto(leaseSeconds * 1_000);
  const wanted = AcquireLeaseRequest.fromPartial({ machineId, ttl, nonce: held, requestId });
  const { lease } = await request.also(LeasesServiceService.acquireLease, wanted);
  try {
    const { machine } = await update(lease?.nonce ?? held);
    return machine && { ...machine, lease };
  } catch (err) {
    if (held === "") await release(request, machineId, lease);
    throw err;
  }
}

async function release(
  request: Pick<RestRequest<never, never>, "also">,
  machineId: string,
  lease: Lease | undefined,
): Promise<void> {
  const nonce = lease?.nonce ?? "";
  // The fault of the update says more; the lease expires by itself.
  await request.also(LeasesServiceService.releaseLease, { machineId, nonce }).catch(() => undefined);
}
