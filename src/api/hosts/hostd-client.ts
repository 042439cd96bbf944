import { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import { Machine as WireMachine } from "../../gen/windhover/machines/v1/machine.ts";
import type { TokenSource } from "../../lib/auth/tokens.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { openStream } from "../../lib/grpc/calls/streams.ts";
import { type CallScope, call } from "../../lib/grpc/client.ts";
import { Connections } from "../../lib/grpc/connections.ts";
import { durationToProto } from "../../lib/grpc/messages/duration.ts";
import { annotate, attribute } from "../../lib/otel/tracing.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { configToProto } from "../machines/config/convert-config.ts";
import {
  describedFromProto,
  machineFromProto,
  stateFromProto,
  stateToProto,
} from "../machines/convert-machine.ts";
import type { HostAddress } from "../machines/host/host-address.ts";
import type { Machine } from "../machines/machine.ts";
import type { CallLimits } from "../requests/caller.ts";
import {
  changesClient,
  MAX_STOP_MS,
  NETWORK_MARGIN_MS,
  newLeaseToProto,
  PREPARE_TIMEOUT_MS,
  required,
  type Send,
  START_TIMEOUT_MS,
} from "./changes-client.ts";
import { announcedFromProto, schedulingFromProto, schedulingToProto } from "./convert-host.ts";
import type { Hostd } from "./hostd.ts";
import { Waits } from "./watches/waits-client.ts";

const GET_TIMEOUT_MS = 5_000;
const LIST_TIMEOUT_MS = 10_000;
const LIST_PAGE_SIZE = 1_000;
const SET_TIMEOUT_MS = 5_000;
const CREATE_TIMEOUT_MS = 15_000;
const DESTROY_TIMEOUT_MS = 60_000;

/** The connections of an api to hosts. */
export interface HostdConnections {
  /** Of calls: a start shares its connection with nothing that lasts. */
  readonly calls: Connections<HostServiceClient>;
  /** Of waits, logs and pulls. */
  readonly streams: Connections<HostServiceClient>;
  /** Connects at once to a host that says that it is up. */
  reconnect(address: string): void;
  close(): void;
}

export function hostdConnections(token: TokenSource, clock: Clock): HostdConnections {
  const calls = new Connections(HostServiceClient, token, clock, true);
  const streams = new Connections(HostServiceClient, token, clock, true);
  return {
    calls,
    streams,
    reconnect(address) {
      calls.reconnect(address);
      streams.reconnect(address);
    },
    close() {
      calls.close();
      streams.close();
    },
  };
}

export interface HostdClientOptions {
  readonly clock: Clock;
  /** Returns where a host is now. */
  whereIs(number: number): HostAddress | undefined;
}

/** Makes a client of all hosts. Close it before its connections. */
export function hostdClient(
  { calls, streams }: HostdConnections,
  { clock, whereIs }: HostdClientOptions,
): Hostd & { close(): void } {
  const waits = new Waits({
    client: (host) => streams.at(host.address),
    whereIs,
    faultOf: faultFromHost,
    clock,
  });

  const send: Send = async (host, methodOf, request, timeoutMs, limits) => {
    const client = calls.at(host.address);
    try {
      return await call(client, methodOf(client), request, scopeOf(timeoutMs, limits));
    } catch (err) {
      // A call that we aborted says nothing about the host.
      throw limits.signal?.aborted ? err : faultFromHost(err, host);
    }
  };

  return {
    ...changesClient(send),
    async getMachine(host, target, limits) {
      const { machine } = await send(host, (client) => client.getMachine, target, GET_TIMEOUT_MS, limits);
      return required(machine, host);
    },
    async getMachines(host, machineIds, limits) {
      const request = { machineIds: [...machineIds] };
      const answer = await send(host, (client) => client.getMachines, request, GET_TIMEOUT_MS, limits);
      return answer.machines.map(describedFromProto);
    },
    async startMachine(host, { machineId, org, watchMs, leaseNonce = "" }, limits) {
      annotate(attribute.hostName, host.name);
      const client = calls.at(host.address);
      const from = { source: "user", fromProxy: false };
      const request = { machineId, org, watch: durationToProto(watchMs), leaseNonce, ...from };
      const response = await sendStart(host, client, request, limits);
      return {
        machine: required(response.machine, host),
        previousState: stateFromProto(response.previousState),
        alreadyStarted: response.alreadyStarted,
        startPath: response.startPath,
      };
    },
    async stopMachine(host, { machineId, org, signal, timeoutMs, ...leased }, limits) {
      const { leaseNonce = "", ignoreLease = false } = leased;
      const request = {
        ...{ machineId, org, signal, leaseNonce, ignoreLease },
        timeout: durationToProto(timeoutMs),
        ...{ ifUnusedFor: undefined, source: "user" },
      };
      const limitMs = (timeoutMs ?? MAX_STOP_MS) + NETWORK_MARGIN_MS;
      const response = await send(host, (client) => client.stopMachine, request, limitMs, limits);
      return { machine: required(response.machine, host), alreadyStopped: response.alreadyStopped };
    },
    async destroyMachine(host, { machineId, org, force, ignoreMissing = false, ...leased }, limits) {
      const { leaseNonce = "", ignoreLease = false } = leased;
      const request = { machineId, org, force, ignoreMissing, leaseNonce, ignoreLease };
      const limitMs = DESTROY_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.destroyMachine, request, limitMs, limits);
      return machine && machineFromProto(machine);
    },
    async waitMachine(host, target, limits) {
      try {
        const { machineId, org } = target;
        const request = { machineId, org };
        return await waits.wait(host, target, limits, async () => {
          const found = await send(host, (client) => client.getMachine, request, GET_TIMEOUT_MS, limits);
          return required(found.machine, host);
        });
      } catch (err) {
        // An older hostd has no watches.
        if (!(err instanceof Fault) || err.code !== "UNIMPLEMENTED") throw err;
      }
      const { timeoutMs } = target;
      const timeout = durationToProto(timeoutMs);
      const states = target.states.flatMap((state) => (state === "ready" ? [] : [stateToProto(state)]));
      const request = { ...target, states, timeout, ready: target.states.includes("ready") };
      const scope = scopeOf(timeoutMs + NETWORK_MARGIN_MS, limits);
      const client = streams.at(host.address);
      const { machine } = await call(client, client.waitMachine, request, scope);
      return required(machine, host);
    },
    async *streamLogs(host, { machineId, org, follow, tail, afterSequence }, limits) {
      const client = streams.at(host.address);
      const request = { machineId, org, follow, tail, afterSequence };
      const scope = scopeOf(Number.POSITIVE_INFINITY, limits);
      try {
        for await (const { entries, position } of openStream(client, client.streamLogs, request, scope)) {
          const lines = entries.map((entry) => ({ ...entry, timeMs: entry.time?.getTime() }));
          // An older hostd sends no position.
          yield { lines, position: position ?? lines.at(-1)?.sequence ?? afterSequence };
        }
      } catch (err) {
        throw limits.signal?.aborted ? err : faultOfStream(err, host);
      }
    },
    async createMachine(host, award, limits) {
      annotate(attribute.hostName, host.name);
      const { machineId: id, config, image, reservationId, epoch, keepForLaunch, lease, ...rest } = award;
      const place = { ...rest, id, host: host.name, config: configToProto(config), imageRef: image };
      const request = {
        machine: WireMachine.fromPartial(place),
        reservationId,
        epoch: BigInt(epoch),
        keepForLaunch,
        lease: lease && newLeaseToProto(lease),
      };
      const limitMs = CREATE_TIMEOUT_MS;
      const { machine } = await send(host, (client) => client.createMachine, request, limitMs, limits);
      return required(machine, host);
    },
    async prepareMachine(host, order, report, limits) {
      const client = streams.at(host.address);
      const scope = scopeOf(PREPARE_TIMEOUT_MS, limits);
      let prepared: WireMachine | undefined;
      try {
        for await (const message of openStream(client, client.prepareMachine, order, scope)) {
          const { machine, detail, bytesDone, bytesTotal } = message;
          prepared = machine ?? prepared;
          report({ detail, bytesDone: Number(bytesDone), bytesTotal: Number(bytesTotal) });
        }
      } catch (err) {
        throw faultFromHost(err, host);
      }
      if (prepared) return machineFromProto(prepared);
      throw unreachable(host, `host ${host.name} stopped preparing the machine`);
    },
    async listMachines(host, limits) {
      const machines: Machine[] = [];
      let pageToken = "";
      do {
        const request = { pageSize: LIST_PAGE_SIZE, pageToken, withoutConfig: true };
        const page = await send(host, (client) => client.listMachines, request, LIST_TIMEOUT_MS, limits);
        machines.push(...page.machines.map(machineFromProto));
        if (page.nextPageToken !== "" && page.nextPageToken <= pageToken)
          throw new Error(`host ${host.number} repeats a page`);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      return machines;
    },
    async setScheduling(host, scheduling, limits) {
      const request = { scheduling: schedulingToProto(scheduling) };
      const limitMs = SET_TIMEOUT_MS;
      const { previous } = await send(host, (client) => client.setScheduling, request, limitMs, limits);
      return schedulingFromProto(previous);
    },
    async getHost(host, limits) {
      const response = await send(host, (client) => client.getHost, {}, LIST_TIMEOUT_MS, limits);
      if (!response.info) throw new Error(`host ${host.number} answered without saying who it is`);
      return {
        announced: announcedFromProto(response.info),
        isDelivered: response.outboxAcknowledged >= response.outboxSequence,
      };
    },
    close: () => waits.close(),
  };
}

type StartRequest = Parameters<HostServiceClient["startMachine"]>[0];

async function sendStart(
  host: HostAddress,
  client: HostServiceClient,
  request: StartRequest,
  limits: CallLimits,
) {
  try {
    return await call(client, client.startMachine, request, scopeOf(START_TIMEOUT_MS, limits));
  } catch (err) {
    if (err instanceof Fault && err.reason === "DEADLINE_EXCEEDED") {
      throw new Fault(
        "DEADLINE_EXCEEDED",
        "START_TIMEOUT",
        `machine ${request.machineId} was not started in time; its state says how far it came`,
        { machine_id: request.machineId },
        { cause: err },
      );
    }
    throw faultFromHost(err, host);
  }
}

function scopeOf(timeoutMs: number, limits: CallLimits): CallScope {
  const limitMs = Math.min(timeoutMs, limits.remainingMs ?? Number.POSITIVE_INFINITY);
  return { timeoutMs: limitMs, ...(limits.signal ? { signal: limits.signal } : {}) };
}

const FROM_GRPC: ReadonlySet<string> = new Set(["PEER_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVER_DRAINING"]);

/** Converts an error of a call: one that gRPC made, and not the host, is `HOST_UNREACHABLE`. */
export function faultFromHost(err: unknown, host: HostAddress): unknown {
  if (!(err instanceof Fault) || !FROM_GRPC.has(err.reason)) return err;
  const message = `host ${host.name || host.number} did not answer; its machines go on, try again when it is back`;
  return unreachable(host, message, err);
}

/**
 * Does the same for a stream that we did not end: a host that is killed at the end of its grace
 * cancels its calls.
 */
function faultOfStream(err: unknown, host: HostAddress): unknown {
  if (!(err instanceof Fault) || err.reason !== "CANCELLED") return faultFromHost(err, host);
  return unreachable(host, `host ${host.name || host.number} has ended the stream`, err);
}

function unreachable(host: HostAddress, message: string, cause?: Fault): Fault {
  const facts = { host: host.name, host_number: String(host.number) };
  const extra = cause ? { cause, retryAfterMs: 1_000 } : {};
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, facts, extra);
}
