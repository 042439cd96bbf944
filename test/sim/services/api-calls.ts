import type { Auctions } from "../../../src/api/creates/saga/create-tools.ts";
import { changesClient, type Send } from "../../../src/api/hosts/changes-client.ts";
import type { Hostd } from "../../../src/api/hosts/hostd.ts";
import { faultFromHost } from "../../../src/api/hosts/hostd-client.ts";
import type { HostAddress } from "../../../src/api/machines/host/host-address.ts";
import { Replicas } from "../../../src/api/regions/replicas.ts";
import { SCRATCH_DISK_MB, schedulerUnavailable } from "../../../src/api/regions/scheduler-client.ts";
import type { CallLimits } from "../../../src/api/requests/caller.ts";
import type { HostServiceClient } from "../../../src/gen/windhover/hostd/v1/hostd.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import type { Clock } from "../../../src/lib/runtime/clock.ts";
import type { Offer } from "../../../src/scheduler/auctions/offer.ts";
import { ANYWHERE } from "../../../src/scheduler/auctions/placement.ts";
import type { LiveReservation } from "../../../src/scheduler/reservations/reservation-store.ts";
import type { Network } from "../world/network.ts";
import type { Process } from "../world/world.ts";

/** How long calls may take, as in src/api/hosts/hostd-client.ts. */
const MS = {
  create: 15_000,
  prepare: 14 * 60_000,
  start: 120_000,
  stop: 310_000,
  get: 5_000,
  destroy: 60_000,
  list: 10_000,
  getHost: 10_000,
};
const RESERVE_MS = 10_000;
const CLAIM_MS = 5_000;

/** The hosts as an api calls them, with errors as from the real client. */
export function hostCalls(net: Network, processOf: (number: number) => Process): Hostd {
  const call = <Res>(host: HostAddress, method: keyof typeof MS, request: unknown, limits: CallLimits) =>
    callIn<Res>(host, method, request, MS[method], limits);
  const callIn = async <Res>(
    host: HostAddress,
    method: string,
    request: unknown,
    limitMs: number,
    limits: CallLimits,
  ) => {
    const timeoutMs = Math.min(limitMs, limits.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await net.call<Res>(processOf(host.number), method, request, {
        timeoutMs,
        signal: limits.signal,
      });
    } catch (err) {
      throw limits.signal?.aborted ? err : faultFromHost(err, host);
    }
  };
  const send: Send = (host, methodOf, request, ms, limits) =>
    callIn(host, nameOf(methodOf), request, ms, limits);
  return {
    createMachine: (host, award, limits) => call(host, "create", award, limits),
    prepareMachine: (host, order, _report, limits) => call(host, "prepare", order, limits),
    getMachine: (host, target, limits) => call(host, "get", target, limits),
    getMachines: () => Promise.reject(new Error("nobody lists here")),
    startMachine: (host, target, limits) => call(host, "start", target, limits),
    stopMachine: (host, target, limits) => call(host, "stop", target, limits),
    destroyMachine: (host, target, limits) => call(host, "destroy", target, limits),
    listMachines: (host, limits) => call(host, "list", {}, limits),
    getHost: (host, limits) => call(host, "getHost", {}, limits),
    setScheduling: () => Promise.reject(new Error("nobody drains here")),
    waitMachine: () => Promise.reject(new Error("nobody waits here")),
    streamLogs: () => {
      throw new Error("nobody reads here");
    },
    ...changesClient(send),
  };
}

/** The name of the method that is taken from a client. */
function nameOf(methodOf: (client: HostServiceClient) => unknown): string {
  const names = new Proxy({}, { get: (_, name) => name });
  return String(methodOf(names as HostServiceClient));
}

/** The region's scheduler as an api calls it: the real choice among replicas, as in src/api/regions/scheduler-client.ts. */
export function auctionCalls(net: Network, schedulers: readonly Process[], clock: Clock): Auctions {
  const replicas = new Replicas(
    schedulers.map(({ name }) => name),
    clock,
  );
  const ask = async <Res>(
    key: string,
    method: string,
    request: unknown,
    limitMs: number,
    limits: CallLimits,
  ) => {
    const limit = Math.min(limitMs, limits.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await replicas.call(key, limit, limits.signal, (address, { timeoutMs, signal }) => {
        const scheduler = schedulers.find(({ name }) => name === address);
        if (!scheduler) throw new Error(`there is no ${address}`);
        return net.call<Res>(scheduler, method, request, { timeoutMs, signal });
      });
    } catch (err) {
      if (!(err instanceof Fault) || !Replicas.isUnable(err) || limits.signal?.aborted) throw err;
      throw schedulerUnavailable("ord", err);
    }
  };
  return {
    async reserve(request, scope) {
      const { reservationId, cpus, memoryMb, imageDigest, app, excludedHosts, claimant } = request;
      const resources = { cpus, memoryMb, diskMb: SCRATCH_DISK_MB };
      const placement = { ...ANYWHERE, ...request.placement };
      const bid = { reservationId, resources, imageDigest, app, placement };
      const message = { bid, excluded: new Set(excludedHosts), claimant };
      const { reservation, claim } = await ask<LiveReservation>(
        reservationId,
        "reserve",
        message,
        RESERVE_MS,
        scope,
      );
      const isOurs = claim?.claimant === claimant;
      return {
        offers: reservation.offers.map(offerFrom),
        ...(isOurs ? { claimedHost: claim.hostNumber } : {}),
      };
    },
    claim: async (id, claimant, host, scope) =>
      offerFrom(await ask<Offer>(id, "claim", { id, claimant, host }, CLAIM_MS, scope)),
    release: (id, awardedHost, scope, refusedHosts = []) =>
      ask(id, "release", { id, awardedHost, refusedHosts }, CLAIM_MS, scope),
  };
}

function offerFrom({ hostNumber, hostName, hostAddress, epoch }: Offer) {
  return { hostNumber, hostName, hostAddress, epoch: epoch.toString() };
}
