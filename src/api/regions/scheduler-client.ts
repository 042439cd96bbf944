import type { Offer as WireOffer } from "../../gen/windhover/scheduler/v1/host.ts";
import {
  type AttachedHost,
  type ListReservationsResponse,
  SchedulerServiceClient,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { type CallScope, call } from "../../lib/grpc/client.ts";
import { Connections } from "../../lib/grpc/connections.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { CallLimits } from "../requests/caller.ts";
import type { AuctionRequest, AuctionResult, Offer } from "./auction.ts";
import { placementToProto } from "./convert-placement.ts";
import { Replicas } from "./replicas.ts";

const RESERVE_TIMEOUT_MS = 10_000;
const CLAIM_TIMEOUT_MS = 5_000;
const LIST_TIMEOUT_MS = 2_000;
/** Size of the scratch disk that is reserved for a machine, in MB. */
export const SCRATCH_DISK_MB = 1_024;

/** The scheduler of one region. Without a working replica calls fail: `SCHEDULER_UNAVAILABLE`. */
export class SchedulerClient {
  readonly #region: string;
  readonly #addresses: ReadonlySet<string>;
  readonly #connections: Connections<SchedulerServiceClient>;
  readonly #replicas: Replicas;

  /** @param addresses of its replicas */
  constructor(region: string, addresses: readonly string[], token: TokenSource, clock: Clock) {
    this.#region = region;
    this.#addresses = new Set(addresses);
    this.#connections = new Connections(SchedulerServiceClient, token, clock);
    this.#replicas = new Replicas([...this.#addresses], clock);
  }

  /** Holds an auction and claims its best offer. @throws Fault `NO_CAPACITY`, `NO_HOSTS` */
  async reserve(request: AuctionRequest, limits: CallLimits): Promise<AuctionResult> {
    const { reservationId, cpus, memoryMb, imageDigest, app, excludedHosts, claimant } = request;
    const message = {
      reservationId,
      resources: { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(SCRATCH_DISK_MB) },
      imageDigest,
      app,
      excludedHosts: [...excludedHosts],
      placement: request.placement && placementToProto(request.placement),
      claimant,
    };
    const { reservation, claimedHost } = await this.#call(
      reservationId,
      RESERVE_TIMEOUT_MS,
      limits,
      (client, scope) => call(client, client.reserve, message, scope),
    );
    const offers = (reservation?.offers ?? []).map(offerFromProto);
    return { offers, ...(claimedHost === undefined ? {} : { claimedHost }) };
  }

  /** @throws Fault `RESERVATION_EXPIRED`, `RESERVATION_CLAIMED`, `OFFER_UNKNOWN` */
  async claim(
    reservationId: string,
    claimant: string,
    hostNumber: number,
    limits: CallLimits,
  ): Promise<Offer> {
    const message = { reservationId, claimant, hostNumber };
    const { offer } = await this.#call(reservationId, CLAIM_TIMEOUT_MS, limits, (client, scope) =>
      call(client, client.claim, message, scope),
    );
    if (!offer) throw new Error("the scheduler granted a claim without an offer");
    return offerFromProto(offer);
  }

  /**
   * Ends a reservation: every host but `awardedHost` drops its hold.
   *
   * @param refusedHosts hosts that refused the award or did not answer it
   */
  async release(
    reservationId: string,
    awardedHost: number | undefined,
    limits: CallLimits,
    refusedHosts: readonly number[] = [],
  ): Promise<void> {
    const message = { reservationId, awardedHost, refusedHosts: [...refusedHosts] };
    await this.#call(reservationId, CLAIM_TIMEOUT_MS, limits, (client, scope) =>
      call(client, client.release, message, scope),
    );
  }

  /** Lists the hosts attached to the replica that answers. */
  async listHosts(limits: CallLimits): Promise<readonly AttachedHost[]> {
    const hosts: AttachedHost[] = [];
    for (let pageToken = ""; ; ) {
      const request = { pageSize: 0, pageToken };
      const page = await this.#call("", LIST_TIMEOUT_MS, limits, (client, scope) =>
        call(client, client.listHosts, request, scope),
      );
      hosts.push(...page.hosts);
      if (page.nextPageToken === "") return hosts;
      pageToken = page.nextPageToken;
    }
  }

  /** Lists live reservations, the first to expire first. */
  listReservations(
    page: { readonly pageSize: number; readonly pageToken: string },
    limits: CallLimits,
  ): Promise<ListReservationsResponse> {
    return this.#call("", LIST_TIMEOUT_MS, limits, (client, scope) =>
      call(client, client.listReservations, page, scope),
    );
  }

  /** Must be called periodically. */
  keepConnected(): void {
    this.#connections.keepConnected(this.#addresses);
  }

  close(): void {
    this.#connections.close();
  }

  async #call<T>(
    key: string,
    timeoutMs: number,
    limits: CallLimits,
    send: (client: SchedulerServiceClient, scope: CallScope) => Promise<T>,
  ): Promise<T> {
    const limitMs = Math.min(timeoutMs, limits.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await this.#replicas.call(key, limitMs, limits.signal, (address, scope) =>
        send(this.#connections.at(address), scope),
      );
    } catch (err) {
      if (!(err instanceof Fault) || !Replicas.isUnable(err) || limits.signal?.aborted) throw err;
      throw schedulerUnavailable(this.#region, err);
    }
  }
}

export function schedulerUnavailable(region: string, cause: Fault): Fault {
  return new Fault(
    "UNAVAILABLE",
    "SCHEDULER_UNAVAILABLE",
    `the scheduler of region ${region} cannot hold an auction now; machines that exist start as ever, creating needs it: try again`,
    { region, why: cause.reason },
    { cause, retryAfterMs: 1_000 },
  );
}

function offerFromProto(offer: WireOffer): Offer {
  return {
    hostNumber: offer.hostNumber,
    hostName: offer.hostName,
    hostAddress: offer.hostAddress,
    epoch: offer.epoch.toString(),
  };
}
