import type { Credentials } from "../../../lib/oci/auth/credentials.ts";
import type { RunConfig } from "../../../lib/oci/image/config.ts";
import type { Hostd } from "../../hosts/hostd.ts";
import type { HostAddress } from "../../machines/host/host-address.ts";
import type { ImageRef } from "../../machines/machine.ts";
import type { Offer } from "../../regions/auction.ts";
import type { SchedulerClient } from "../../regions/scheduler-client.ts";
import type { CallLimits } from "../../requests/caller.ts";
import type { Attempt } from "../store/create-state.ts";

export interface ImageResolver {
  /** @throws Fault of the registry: `IMAGE_NOT_FOUND`, `REGISTRY_UNAVAILABLE`, ... */
  resolve(
    reference: string,
    org: string,
    credentials: CredentialSource,
    signal: AbortSignal,
  ): Promise<FoundImage>;
}

/** An image, and how its configuration has it run. */
export interface FoundImage {
  readonly image: ImageRef;
  readonly run: RunConfig;
}

/** The registry credentials of organisations. */
export interface CredentialSource {
  /** Undefined: nothing. */
  find(org: string, registry: string, repository: string): Promise<Credentials | undefined>;
  /** Makes the next look-up ask the database. */
  forget(org: string): void;
}

export type Auctions = Pick<SchedulerClient, "reserve" | "claim" | "release">;

/** The services that the steps of a create call. */
export interface CreateTools {
  readonly images: ImageResolver;
  readonly credentials: CredentialSource;
  readonly auctionsIn: (region: string) => Auctions;
  readonly hostd: Hostd;
  readonly random: () => bigint;
  /** Makes sure that starts find the host. Never throws. */
  readonly ensureHostKnown: (host: HostAddress) => Promise<void>;
  /** Between attempts to reach the host that has the machine. Default 500. */
  readonly retryMs?: number;
}

export function hostOf(offer: Offer): HostAddress {
  return { number: offer.hostNumber, name: offer.hostName, address: offer.hostAddress };
}

/** Destroys the machine of an attempt; succeeds when the host has none. */
export async function destroyAttempt(
  hostd: Pick<Hostd, "destroyMachine">,
  { offer, machineId }: Attempt,
  limits: CallLimits,
): Promise<void> {
  const target = { machineId, org: "", force: true, ignoreMissing: true, ignoreLease: true };
  await hostd.destroyMachine(hostOf(offer), target, limits);
}
