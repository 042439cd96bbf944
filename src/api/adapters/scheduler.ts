import {
  type AttachedHost,
  SchedulerServiceClient,
  type Offer as WireOffer,
} from "../../gen/windhover/scheduler/v1/scheduler.ts";
import { type CallScope, call, connect, type UnaryMethod } from "../../lib/client.ts";
import { Fault } from "../../lib/fault.ts";
import type { TokenSource } from "../../lib/tokens.ts";
import { placementTo } from "../convert-placement.ts";
import type { Auctions } from "../create/context.ts";
import type { Offer } from "../domain/create-state.ts";
import type { Scope } from "../domain/scope.ts";
import { bound } from "./hostd.ts";

const RESERVE_MS = 10_000;
const CLAIM_MS = 5_000;
const LIST_MS = 2_000;
/** The scratch disk that a machine's VM gets at most, in MB. */
export const SCRATCH_DISK_MB = 1_024;
/** Reasons that mean the scheduler cannot work now, whatever it is asked. */
const UNABLE: ReadonlySet<string> = new Set([
  "PEER_UNAVAILABLE",
  "REDIS_UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "SERVER_DRAINING",
]);

/** The region's scheduler, over one channel for the life of the process. */
export class Scheduler implements Auctions {
  readonly #client: SchedulerServiceClient;

  constructor(address: string, token: TokenSource) {
    this.#client = connect(SchedulerServiceClient, address, { token });
  }

  async reserve(request: Parameters<Auctions["reserve"]>[0], scope: Scope): Promise<readonly Offer[]> {
    const { reservationId, cpus, memoryMb, imageDigest, app, excludedHosts } = request;
    const resources = { cpus, memoryMb: BigInt(memoryMb), diskMb: BigInt(SCRATCH_DISK_MB) };
    const placement = request.placement && placementTo(request.placement);
    const message = {
      reservationId,
      resources,
      imageDigest,
      app,
      excludedHosts: [...excludedHosts],
      placement,
    };
    const response = await this.#ask(this.#client.reserve, message, bound(RESERVE_MS, scope));
    return (response.reservation?.offers ?? []).map(toOffer);
  }

  async claim(reservationId: string, claimant: string, hostNumber: number, scope: Scope): Promise<Offer> {
    const message = { reservationId, claimant, hostNumber };
    const { offer } = await this.#ask(this.#client.claim, message, bound(CLAIM_MS, scope));
    if (!offer) throw new Error("the scheduler granted a claim without an offer");
    return toOffer(offer);
  }

  async release(
    reservationId: string,
    winner: number | undefined,
    scope: Scope,
    refused: readonly number[] = [],
  ): Promise<void> {
    const message = { reservationId, winner, refused: [...refused] };
    await this.#ask(this.#client.release, message, bound(CLAIM_MS, scope));
  }

  /** The hosts attached to the replica that answers. */
  async listHosts(scope: Scope): Promise<readonly AttachedHost[]> {
    return (await this.#ask(this.#client.listHosts, {}, bound(LIST_MS, scope))).hosts;
  }

  /** Hangs up. */
  close(): void {
    this.#client.close();
  }

  async #ask<Req, Res>(method: UnaryMethod<Req, Res>, request: Req, scope: CallScope): Promise<Res> {
    try {
      return await call(this.#client, method, request, scope);
    } catch (err) {
      if (!(err instanceof Fault) || !UNABLE.has(err.reason)) throw err;
      throw new Fault(
        "UNAVAILABLE",
        "SCHEDULER_UNAVAILABLE",
        "the region's scheduler cannot hold an auction now; machines that exist start as ever, creating needs it: try again",
        { why: err.reason },
        { cause: err, retryAfterMs: 1_000 },
      );
    }
  }
}

function toOffer(offer: WireOffer): Offer {
  return {
    hostNumber: offer.hostNumber,
    hostName: offer.hostName,
    hostAddress: offer.hostAddress,
    epoch: offer.epoch.toString(),
  };
}
