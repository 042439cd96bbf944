import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import type { Machine as WireMachine } from "../../gen/windhover/machines/v1/machine.ts";
import { type CallScope, call, type UnaryMethod } from "../../lib/grpc/client.ts";
import { durationToProto } from "../../lib/grpc/duration.ts";
import { openStream } from "../../lib/grpc/streams.ts";
import { annotate } from "../../lib/otel/tracing.ts";
import { Fault } from "../../lib/runtime/fault.ts";
import { machineFrom, stateFrom, stateTo } from "../machines/convert-machine.ts";
import type { Machine } from "../machines/machine.ts";
import type { HostMachines, LogLine, Started, Stopped } from "../machines/machines.ts";
import type { Scope } from "../requests/scope.ts";
import type { HostEntry } from "./host-table.ts";
import type { HostdClients } from "./hostd-connections.ts";

/** Name of the host that a span is about. */
export const HOST_NAME = "windhover.host.name";

const GET_MS = 5_000;
/** hostd gives up a start itself, and says why; this is for a hostd that does not. */
const START_MS = 120_000;
const DESTROY_MS = 60_000;
/** The longest grace of a stop, when the call leaves it to the configuration. */
const LONGEST_STOP_MS = 300_000;
/** Added to what a call is told to take: the way there and back. */
const SLACK_MS = 10_000;

/** Just what is needed to reach a host. */
export type HostAddress = Pick<HostEntry, "number" | "name" | "address">;

/** Where to find a client for a host. */
export type ClientLookup = Pick<HostdClients, "at">;

/** Calls the host that owns a machine. */
export function hostMachines(clients: ClientLookup): HostMachines {
  return {
    async get(host, { machineId, org }, scope) {
      const client = clients.at(host.address);
      const response = await ask(host, client, client.getMachine, { machineId, org }, bound(GET_MS, scope));
      return present(response.machine, host);
    },
    async start(host, { machineId, org, watchMs }, scope): Promise<Started> {
      annotate(HOST_NAME, host.name);
      const client = clients.at(host.address);
      const request = { machineId, org, watch: durationToProto(watchMs) };
      const response = await askToStart(host, client, request, scope);
      return {
        machine: present(response.machine, host),
        previousState: stateFrom(response.previousState),
        alreadyStarted: response.alreadyStarted,
        startPath: response.startPath,
      };
    },
    async stop(host, { machineId, org, signal, timeoutMs }, scope): Promise<Stopped> {
      const client = clients.at(host.address);
      const request = { machineId, org, signal, timeout: durationToProto(timeoutMs) };
      const limit = bound((timeoutMs ?? LONGEST_STOP_MS) + SLACK_MS, scope);
      const response = await ask(host, client, client.stopMachine, request, limit);
      return { machine: present(response.machine, host), alreadyStopped: response.alreadyStopped };
    },
    async destroy(host, { machineId, org, force }, scope) {
      const client = clients.at(host.address);
      const request = { machineId, org, force, ignoreMissing: false };
      const response = await ask(host, client, client.destroyMachine, request, bound(DESTROY_MS, scope));
      return response.machine && machineFrom(response.machine);
    },
    async wait(host, { machineId, org, states, timeoutMs }, scope) {
      const client = clients.at(host.address);
      const request = { machineId, org, states: states.map(stateTo), timeout: durationToProto(timeoutMs) };
      const response = await ask(
        host,
        client,
        client.waitMachine,
        request,
        bound(timeoutMs + SLACK_MS, scope),
      );
      return present(response.machine, host);
    },
    async *logs(
      host,
      { machineId, org, follow, tail, afterSequence },
      scope,
    ): AsyncIterable<readonly LogLine[]> {
      const client = clients.at(host.address);
      const request = { machineId, org, follow, tail, afterSequence };
      const limit = bound(Number.POSITIVE_INFINITY, scope);
      try {
        for await (const { entries } of openStream(client, client.streamLogs, request, limit)) {
          yield entries.map((entry) => ({ ...entry, timeMs: entry.time?.getTime() }));
        }
      } catch (err) {
        throw fromHost(err, host);
      }
    },
  };
}

/** Calls a host once. @throws Fault the host's, or UNAVAILABLE / `HOST_UNREACHABLE` */
export async function ask<Req, Res>(
  host: HostAddress,
  client: HostServiceClient,
  method: UnaryMethod<Req, Res>,
  request: Req,
  scope: CallScope,
): Promise<Res> {
  try {
    return await call(client, method, request, scope);
  } catch (err) {
    // What we broke off ourselves is not the host's doing.
    throw scope.signal?.aborted ? err : fromHost(err, host);
  }
}

/** A scope of at most so long, within the caller's. */
export function bound(timeoutMs: number, scope: Scope): CallScope {
  const limit = Math.min(timeoutMs, scope.remainingMs ?? Number.POSITIVE_INFINITY);
  return { timeoutMs: limit, ...(scope.signal ? { signal: scope.signal } : {}) };
}

/** The machine in a host's answer. */
export function present(machine: WireMachine | undefined, host: HostAddress): Machine {
  if (!machine) throw new Error(`host ${host.number} answered without a machine`);
  return machineFrom(machine);
}

/** An error of a call to a host: one that gRPC made, and not the host, means that the host could not be reached. */
export function fromHost(err: unknown, host: HostAddress): unknown {
  if (!(err instanceof Fault)) return err;
  if (
    err.reason !== "PEER_UNAVAILABLE" &&
    err.reason !== "DEADLINE_EXCEEDED" &&
    err.reason !== "SERVER_DRAINING"
  ) {
    return err;
  }
  return new Fault(
    "UNAVAILABLE",
    "HOST_UNREACHABLE",
    `host ${host.name || host.number} did not answer; its machines go on, try again when it is back`,
    { host: host.name, host_number: String(host.number) },
    { cause: err, retryAfterMs: 1_000 },
  );
}

type StartRequest = Parameters<HostServiceClient["startMachine"]>[0];

async function askToStart(host: HostAddress, client: HostServiceClient, request: StartRequest, scope: Scope) {
  try {
    return await call(client, client.startMachine, request, bound(START_MS, scope));
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
    throw fromHost(err, host);
  }
}
