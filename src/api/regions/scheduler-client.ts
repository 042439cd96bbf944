import {
  type AttachedHost,
  type ListReservationsResponse,
  SchedulerServiceClient,
  type Offer as WireOffer,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { type CallScope, call, connect } from "../../lib/grpc/client.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import type { Auctions, Reserved } from "../creates/steps/context.ts";
import type { Offer } from "../creates/steps/create-state.ts";
import type { Scope } from "../requests/scope.ts";
import { placementTo } from "./convert-placement.ts";
import { Replicas } from "./replicas.ts";

const RESERVE_MS = 10_000;
const CLAIM_MS = 5_000;
const LIST_MS = 2_000;
/** The scratch disk that a machine's VM gets at most, in MB. */
export const SCRATCH_DISK_MB = 1_024;

/** A region's scheduler: all its replicas, over one channel each for the life of the process. */
export class Scheduler implements Auctions {
  readonly #region: string;
  readonly #clients: ReadonlyMap<string, SchedulerServiceClient>;
  readonly #replicas: Replicas;

  constructor(region: string, addresses: readonly string[], token: TokenSource, clock: Clock) {
    this.#region = region;
    this.#clients = new Map(
      addresses.map((address) => [address, connect(SchedulerServiceClient, address, { token })]),
    );
    this.#replicas = new Replicas(addresses, clock);
  }

  async reserve(request: Parameters<Auctions["reserve"]>[0], scope: Scope): Promise<Reserved> {
    const { reservationId, cpus, memoryMb, imageDigest, app, excludedHosts, claimant } = request;
    const resources = { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(SCRATCH_DISK_MB) };
    const placement = request.placement && placementTo(request.placement);
    const message = {
      reservationId,
      resources,
      imageDigest,
      app,
      excludedHosts: [...excludedHosts],
      placement,
      claimant,
    };
    const { reservation, claimedHost } = await this.#ask(
      reservationId,
      RESERVE_MS,
      scope,
      (client, attempt) => call(client, client.reserve, message, attempt),
    );
    const offers = (reservation?.offers ?? []).map(toOffer);
    return { offers, ...(claimedHost === undefined ? {} : { claimedHost }) };
  }

  async claim(reservationId: string, claimant: string, hostNumber: number, scope: Scope): Promise<Offer> {
    const message = { reservationId, claimant, hostNumber };
    const { offer } = await this.#ask(reservationId, CLAIM_MS, scope, (client, attempt) =>
      call(client, client.claim, message, attempt),
    );
    if (!offer) throw new Error("the scheduler granted a claim without an offer");
    return toOffer(offer);
  }

  async release(
    reservationId: string,
    awardedHost: number | undefined,
    scope: Scope,
    refusedHosts: readonly number[] = [],
  ): Promise<void> {
    const message = { reservationId, awardedHost, refusedHosts: [...refusedHosts] };
    await this.#ask(reservationId, CLAIM_MS, scope, (client, attempt) =>
      call(client, client.release, message, attempt),
    );
  }

  /** The hosts attached to the replica that answers; hosts attach to all. */
  async listHosts(scope: Scope): Promise<readonly AttachedHost[]> {
    const response = await this.#ask("", LIST_MS, scope, (client, attempt) =>
      call(client, client.listHosts, {}, attempt),
    );
    return response.hosts;
  }

  /** The region's reservations, the first to expire first, at most so many; and how many there are. */
  listReservations(pageSize: number, scope: Scope): Promise<ListReservationsResponse> {
    return this.#ask("", LIST_MS, scope, (client, attempt) =>
      call(client, client.listReservations, { pageSize }, attempt),
    );
  }

  /** Connects ahead of the first call, and again after a break. To be called again and again. */
  keepConnected(): void {
    // `true` makes an idle channel connect.
    for (const client of this.#clients.values()) client.getChannel().getConnectivityState(true);
  }

  /** Hangs up. */
  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  async #ask<T>(
    key: string,
    timeoutMs: number,
    scope: Scope,
    ask: (client: SchedulerServiceClient, scope: CallScope) => Promise<T>,
  ): Promise<T> {
    const limitMs = Math.min(timeoutMs, scope.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await this.#replicas.ask(key, limitMs, scope.signal, (address, attempt) => {
        const client = this.#clients.get(address);
        if (!client) throw new Error(`there is no replica ${address}`);
        return ask(client, attempt);
      });
    } catch (err) {
      if (!(err instanceof Fault) || !Replicas.isUnable(err) || scope.signal?.aborted) throw err;
      throw schedulerUnavailable(this.#region, err);
    }
  }
}

/** The fault of a region whose scheduler cannot work, whatever it is asked. */
export function schedulerUnavailable(region: string, cause: Fault): Fault {
  return new Fault(
    "UNAVAILABLE",
    "SCHEDULER_UNAVAILABLE",
    `the scheduler of region ${region} cannot hold an auction now; machines that exist start as ever, creating needs it: try again`,
    { region, why: cause.reason },
    { cause, retryAfterMs: 1_000 },
  );
}

function toOffer(offer: WireOffer): Offer {
  return {
    hostNumber: offer.hostNumber,
    hostName: offer.hostName,
    hostAddress: offer.hostAddress,
    epoch: offer.epoch.toString(),
  };
}
