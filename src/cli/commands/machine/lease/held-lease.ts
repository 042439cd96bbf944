import { LeasesServiceClient } from "../../../../gen/windhover/machines/v1/leases.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import type { Session } from "../../../session/session.ts";

const TTL_MS = 60_000;
const REFRESH_MS = 20_000;
/** How long the release may take. */
const RELEASE_MS = 5_000;

/**
 * Works under a lease on a machine, so that nobody else changes it between the steps. Refreshes it
 * as long as that takes, and releases it in the end.
 *
 * @param given nonce of a lease that the user holds, which is used as it is; or of one that was
 *   `taken` for this work
 * @throws Fault ABORTED / `LEASE_HELD` when somebody else holds it
 */
export async function underLease<T>(
  session: Session,
  machineId: string,
  given: string | { readonly taken: string | undefined } | undefined,
  description: string,
  work: (nonce: string) => Promise<T>,
): Promise<T> {
  if (typeof given === "string") return await work(given);
  const client = await session.client(LeasesServiceClient);
  const ttl = durationToProto(TTL_MS);
  const acquire = (nonce: string) =>
    session.call(client, client.acquireLease, { machineId, ttl, description, nonce, requestId: "" });
  const nonce = given?.taken || ((await acquire("")).lease?.nonce ?? "");
  // One refresh that fails is made up for by the next.
  const timer = setInterval(() => void acquire(nonce).catch(() => undefined), REFRESH_MS).unref();
  try {
    return await work(nonce);
  } finally {
    clearInterval(timer);
    // After Ctrl-C, too. It ends by itself when this fails.
    const options = { timeoutMs: RELEASE_MS, signal: new AbortController().signal };
    await session.call(client, client.releaseLease, { machineId, nonce }, options).catch(() => undefined);
  }
}
