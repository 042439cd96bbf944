import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import type { UnaryMethod } from "../../lib/grpc/client.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import { mapToProto } from "../../lib/grpc/messages/maps.ts";
import type { HeldLease, HostLeases, NewLease } from "../leases/leases.ts";
import type { HostChanges } from "../machines/changes/changes.ts";
import type { HostUpdates } from "../machines/changes/update.ts";
import { configToProto } from "../machines/config/convert-config.ts";
import { leaseFromProto, machineFromProto } from "../machines/convert-machine.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { Machine } from "../machines/machine.ts";
import type { CallLimits } from "../requests/caller.ts";

/** Timeout of calls that only change the host's store. */
const CHANGE_TIMEOUT_MS = 15_000;
/** hostd times a start out earlier, with a reason. */
export const START_TIMEOUT_MS = 120_000;
/** The longest grace of a stop that is as configured. */
export const MAX_STOP_MS = 300_000;
/** Added to the time that the host may take. */
export const NETWORK_MARGIN_MS = 10_000;
/** Memory is written to the host's disk, and the longest start is waited for. */
const SUSPEND_TIMEOUT_MS = 300_000;
/** A pull of the largest image. The create times out a minute later. */
export const PREPARE_TIMEOUT_MS = 14 * 60_000;
/** The longest time for a new version to become ready. */
const MAX_READY_MS = 300_000;
/**
 * A pull, a stop, a start that is watched, and the start of the old version when the new one is not
 * ready.
 */
const UPDATE_TIMEOUT_MS = PREPARE_TIMEOUT_MS + MAX_STOP_MS + 2 * START_TIMEOUT_MS + MAX_READY_MS;

/** Calls a host, and converts its errors. */
export type Send = <Req, Res>(
  host: HostAddress,
  methodOf: (client: HostServiceClient) => UnaryMethod<Req, Res>,
  request: Req,
  timeoutMs: number,
  limits: CallLimits,
) => Promise<Res>;

/** Makes the part of a client of hosts that changes machines and holds leases. */
export function changesClient(send: Send): HostChanges & HostLeases & HostUpdates {
  const acquired = (lease: wire.Lease | undefined, host: HostAddress): HeldLease => {
    if (!lease) throw new Error(`host ${host.number} answered without a lease`);
    return { ...leaseFromProto(lease), nonce: lease.nonce };
  };
  return {
    async updateMachine(host, { config, image, readyTimeoutMs, ...order }, limits) {
      const request = {
        ...order,
        config: configToProto(config),
        imageRef: { ...image },
        readyTimeout: durationToProto(readyTimeoutMs),
      };
      const limitMs = UPDATE_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.updateMachine, request, limitMs, limits);
      return required(machine, host);
    },
    async restartMachine(host, { machineId, org, signal, timeoutMs, forceStop, leaseNonce = "" }, limits) {
      const timeout = durationToProto(timeoutMs);
      const request = { machineId, org, signal, timeout, forceStop, leaseNonce };
      const limitMs = (timeoutMs ?? MAX_STOP_MS) + START_TIMEOUT_MS + NETWORK_MARGIN_MS;
      const { machine } = await send(host, (client) => client.restartMachine, request, limitMs, limits);
      return required(machine, host);
    },
    async suspendMachine(host, { machineId, org, leaseNonce, ignoreLease = false }, limits) {
      const request = { machineId, org, leaseNonce, ignoreLease, ifUnusedFor: undefined, source: "user" };
      const limitMs = SUSPEND_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.suspendMachine, request, limitMs, limits);
      return required(machine, host);
    },
    async signalMachine(host, { machineId, org, signal, leaseNonce }, limits) {
      const request = { machineId, org, signal, leaseNonce };
      const limitMs = CHANGE_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.signalMachine, request, limitMs, limits);
      return required(machine, host);
    },
    async setMachineCordon(host, { machineId, org, cordoned, leaseNonce }, limits) {
      const request = { machineId, org, cordoned, leaseNonce };
      const limitMs = CHANGE_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.setMachineCordon, request, limitMs, limits);
      return required(machine, host);
    },
    async updateMetadata(host, { set, remove, ...change }, limits) {
      const request = { ...change, set: mapToProto(set), remove: [...remove] };
      const limitMs = CHANGE_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.updateMetadata, request, limitMs, limits);
      return required(machine, host);
    },
    async acquireLease(host, { machineId, org, nonce, ...wanted }, limits) {
      const request = { machineId, org, nonce, lease: newLeaseToProto(wanted) };
      const limitMs = CHANGE_TIMEOUT_MS;
      const { lease } = await send(host, (client) => client.acquireLease, request, limitMs, limits);
      return acquired(lease, host);
    },
    async getLease(host, { machineId, org }, limits) {
      const limitMs = CHANGE_TIMEOUT_MS;
      const { lease } = await send(host, (client) => client.getLease, { machineId, org }, limitMs, limits);
      return acquired(lease, host);
    },
    async releaseLease(host, { machineId, org, nonce }, limits) {
      const request = { machineId, org, nonce };
      await send(host, (client) => client.releaseLease, request, CHANGE_TIMEOUT_MS, limits);
    },
  };
}

export function newLeaseToProto({ ttlMs, owner, description, requestId = "" }: NewLease) {
  return { ttl: durationToProto(ttlMs), owner, description, requestId };
}

export function required(machine: wire.Machine | undefined, host: HostAddress): Machine {
  if (!machine) throw new Error(`host ${host.number} answered without a machine`);
  return machineFromProto(machine);
}
