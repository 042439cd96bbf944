import type { Auctions, CreateHosts } from "../../src/api/creates/steps/context.ts";
import { fromHost, type HostAddress } from "../../src/api/hosts/hostd-client.ts";
import type { SweepHosts } from "../../src/api/hosts/hostd-sweep.ts";
import type { HostMachines } from "../../src/api/machines/machines.ts";
import { Replicas } from "../../src/api/regions/replicas.ts";
import { SCRATCH_DISK_MB, schedulerUnavailable } from "../../src/api/regions/scheduler-client.ts";
import type { Scope } from "../../src/api/requests/scope.ts";
import type { Clock } from "../../src/lib/runtime/clock.ts";
import { Fault } from "../../src/lib/runtime/fault.ts";
import type { Offer } from "../../src/scheduler/auctions/offer.ts";
import { ANYWHERE } from "../../src/scheduler/auctions/placement.ts";
import type { LiveReservation } from "../../src/scheduler/reservations/reservation-store.ts";
import type { Network } from "./network.ts";
import type { Process } from "./world.ts";

/** How long calls may take, as the real adapters have it. */
const MS = {
  create: 15_000,
  prepare: 14 * 60_000,
  start: 120_000,
  stop: 310_000,
  get: 5_000,
  destroy: 20_000,
  list: 10_000,
};
const RESERVE_MS = 10_000;
const CLAIM_MS = 5_000;

/** The hosts as an api calls them, with what the real adapters make of errors. */
export function hostCalls(net: Network, processOf: (number: number) => Process) {
  const ask = async <Res>(
    host: HostAddress,
    method: keyof typeof MS | "word" | "hello",
    request: unknown,
    scope: Scope,
  ) => {
    const limit = method === "word" || method === "hello" ? MS.list : MS[method];
    const timeoutMs = Math.min(limit, scope.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await net.call<Res>(processOf(host.number), method, request, {
        timeoutMs,
        signal: scope.signal,
      });
    } catch (err) {
      throw scope.signal?.aborted ? err : fromHost(err, host);
    }
  };
  const creates: CreateHosts = {
    create: (host, award, scope) => ask(host, "create", award, scope),
    prepare: (host, id, _report, scope) => ask(host, "prepare", { id, org: "" }, scope),
    start: async (host, id, scope) => (await ask<Started>(host, "start", { id, org: "" }, scope)).machine,
    get: (host, id, scope) => ask(host, "get", { id, org: "" }, scope),
    destroy: async (host, id, scope) => {
      await ask(host, "destroy", { id, org: "", force: true, ignoreMissing: true }, scope);
    },
  };
  const machines: HostMachines = {
    get: (host, { machineId: id, org }, scope) => ask(host, "get", { id, org }, scope),
    start: (host, { machineId: id, org }, scope) => ask(host, "start", { id, org }, scope),
    stop: (host, { machineId: id, org }, scope) => ask(host, "stop", { id, org }, scope),
    destroy: (host, { machineId: id, org, force }, scope) =>
      ask(host, "destroy", { id, org, force, ignoreMissing: false }, scope),
    wait: () => Promise.reject(new Error("nobody waits here")),
    logs: () => {
      throw new Error("nobody reads here");
    },
  };
  const sweeps: SweepHosts = {
    list: (host, signal) => ask(host, "list", {}, { signal }),
    word: (host, signal) => ask(host, "word", {}, { signal }),
    destroy: (host, id, signal) => creates.destroy(host, id, { signal }),
  };
  const hello = (host: HostAddress) => ask<never>(host, "hello", {}, { remainingMs: 2_000 });
  return { creates, machines, sweeps, hello };
}

type Started = Awaited<ReturnType<HostMachines["start"]>>;

/** The region's scheduler as an api calls it: the real choice among replicas, as in src/api/regions/scheduler-client.ts. */
export function auctionCalls(net: Network, schedulers: readonly Process[], clock: Clock): Auctions {
  const replicas = new Replicas(
    schedulers.map(({ name }) => name),
    clock,
  );
  const ask = async <Res>(key: string, method: string, request: unknown, limitMs: number, scope: Scope) => {
    const limit = Math.min(limitMs, scope.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      return await replicas.ask(key, limit, scope.signal, (address, { timeoutMs, signal }) => {
        const scheduler = schedulers.find(({ name }) => name === address);
        if (!scheduler) throw new Error(`there is no ${address}`);
        return net.call<Res>(scheduler, method, request, { timeoutMs, signal });
      });
    } catch (err) {
      if (!(err instanceof Fault) || !Replicas.isUnable(err) || scope.signal?.aborted) throw err;
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
