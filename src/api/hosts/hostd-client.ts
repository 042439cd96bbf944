import type { HostServiceClient } from "../../gen/windhover/hostd/v1/hostd.ts";
import { Machine as WireMachine } from "../../gen/windhover/machines/v1/machine.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { type CallScope, call, type UnaryMethod } from "../../lib/grpc/client.ts";
import { durationToProto } from "../../lib/grpc/duration.ts";
import { openStream } from "../../lib/grpc/streams.ts";
import { annotate } from "../../lib/otel/tracing.ts";
import { configToProto } from "../machines/convert-config.ts";
import { machineFromProto, stateFromProto, stateToProto } from "../machines/convert-machine.ts";
import type { ImageRef, Machine, MachineConfig } from "../machines/machine.ts";
import type {
  DestroyOptions,
  HostAddress,
  HostMachines,
  LogLine,
  LogOptions,
  Started,
  StartOptions,
  StopOptions,
  Stopped,
  Target,
  WaitOptions,
} from "../machines/machines.ts";
import type { CallLimits } from "../requests/caller.ts";
import { announcedFromProto, schedulingFromProto, schedulingToProto } from "./convert-host.ts";
import type { AnnouncedHost, Scheduling } from "./host-table.ts";
import type { HostdConnections } from "./hostd-connections.ts";

const HOST_NAME = "windhover.host.name";

const GET_TIMEOUT_MS = 5_000;
const LIST_TIMEOUT_MS = 10_000;
const SET_TIMEOUT_MS = 5_000;
const CREATE_TIMEOUT_MS = 15_000;
/** A pull of the largest image. The create times out a minute later. */
const PREPARE_TIMEOUT_MS = 14 * 60_000;
/** hostd times a start out earlier, and says why. */
const START_TIMEOUT_MS = 120_000;
const DESTROY_TIMEOUT_MS = 60_000;
/** The longest grace of a stop that is as configured. */
const MAX_STOP_MS = 300_000;
/** Added to the time that the host may take. */
const NETWORK_MARGIN_MS = 10_000;

/** A machine that is awarded to a host. */
export interface Award {
  readonly machineId: string;
  readonly name: string;
  readonly app: string;
  readonly org: string;
  readonly region: string;
  readonly config: MachineConfig;
  readonly image: ImageRef;
  readonly createTraceId: string;
  readonly reservationId: string;
  /** Decimal. */
  readonly epoch: string;
  /** Keep CPU and memory for a start that follows at once. */
  readonly keepForLaunch: boolean;
}

/** The progress of a pull. */
export interface PrepareProgress {
  readonly detail: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** A host's answer to GetHost. */
export interface HostReport {
  readonly announced: AnnouncedHost;
  /** Whether every change in its outbox has been acknowledged by an api. */
  readonly isDelivered: boolean;
}

/** Calls hostd on any host. A host that does not answer is UNAVAILABLE / `HOST_UNREACHABLE`. */
export class HostdClient implements HostMachines {
  readonly #connections: Pick<HostdConnections, "at">;

  constructor(connections: Pick<HostdConnections, "at">) {
    this.#connections = connections;
  }

  async getMachine(host: HostAddress, target: Target, limits: CallLimits): Promise<Machine> {
    const client = this.#connections.at(host.address);
    const { machine } = await send(host, client, client.getMachine, target, bound(GET_TIMEOUT_MS, limits));
    return required(machine, host);
  }

  async startMachine(
    host: HostAddress,
    { machineId, org, watchMs }: Target & StartOptions,
    limits: CallLimits,
  ): Promise<Started> {
    annotate(HOST_NAME, host.name);
    const client = this.#connections.at(host.address);
    const request = { machineId, org, watch: durationToProto(watchMs) };
    const response = await sendStart(host, client, request, limits);
    return {
      machine: required(response.machine, host),
      previousState: stateFromProto(response.previousState),
      alreadyStarted: response.alreadyStarted,
      startPath: response.startPath,
    };
  }

  async stopMachine(
    host: HostAddress,
    { machineId, org, signal, timeoutMs }: Target & StopOptions,
    limits: CallLimits,
  ): Promise<Stopped> {
    const client = this.#connections.at(host.address);
    const request = { machineId, org, signal, timeout: durationToProto(timeoutMs) };
    const scope = bound((timeoutMs ?? MAX_STOP_MS) + NETWORK_MARGIN_MS, limits);
    const { machine, alreadyStopped } = await send(host, client, client.stopMachine, request, scope);
    return { machine: required(machine, host), alreadyStopped };
  }

  async destroyMachine(
    host: HostAddress,
    { machineId, org, force, ignoreMissing = false }: Target & DestroyOptions,
    limits: CallLimits,
  ): Promise<Machine | undefined> {
    const client = this.#connections.at(host.address);
    const request = { machineId, org, force, ignoreMissing };
    const scope = bound(DESTROY_TIMEOUT_MS, limits);
    const { machine } = await send(host, client, client.destroyMachine, request, scope);
    return machine && machineFromProto(machine);
  }

  async waitMachine(
    host: HostAddress,
    { machineId, org, states, timeoutMs }: Target & WaitOptions,
    limits: CallLimits,
  ): Promise<Machine> {
    const client = this.#connections.at(host.address);
    const request = { machineId, org, states: states.map(stateToProto), timeout: durationToProto(timeoutMs) };
    const scope = bound(timeoutMs + NETWORK_MARGIN_MS, limits);
    const { machine } = await send(host, client, client.waitMachine, request, scope);
    return required(machine, host);
  }

  async *streamLogs(
    host: HostAddress,
    { machineId, org, follow, tail, afterSequence }: Target & LogOptions,
    limits: CallLimits,
  ): AsyncIterable<readonly LogLine[]> {
    const client = this.#connections.at(host.address);
    const request = { machineId, org, follow, tail, afterSequence };
    const scope = bound(Number.POSITIVE_INFINITY, limits);
    try {
      for await (const { entries } of openStream(client, client.streamLogs, request, scope)) {
        yield entries.map((entry) => ({ ...entry, timeMs: entry.time?.getTime() }));
      }
    } catch (err) {
      throw faultFromHost(err, host);
    }
  }

  /** Turns a hold into an allocation with a machine. May be repeated. */
  async createMachine(host: HostAddress, award: Award, limits: CallLimits): Promise<Machine> {
    annotate(HOST_NAME, host.name);
    const client = this.#connections.at(host.address);
    const { machineId, config, image, reservationId, epoch, keepForLaunch, ...machine } = award;
    const request = {
      machine: WireMachine.fromPartial({
        ...machine,
        id: machineId,
        host: host.name,
        config: configToProto(config),
        imageRef: image,
      }),
      reservationId,
      epoch: BigInt(epoch),
      keepForLaunch,
    };
    const response = await send(
      host,
      client,
      client.createMachine,
      request,
      bound(CREATE_TIMEOUT_MS, limits),
    );
    return required(response.machine, host);
  }

  /** Makes a machine's image local. May be repeated. */
  async prepareMachine(
    host: HostAddress,
    machineId: string,
    report: (progress: PrepareProgress) => void,
    limits: CallLimits,
  ): Promise<Machine> {
    const client = this.#connections.at(host.address);
    const scope = bound(PREPARE_TIMEOUT_MS, limits);
    let prepared: WireMachine | undefined;
    try {
      for await (const message of openStream(client, client.prepareMachine, { machineId }, scope)) {
        const { machine, detail, bytesDone, bytesTotal } = message;
        prepared = machine ?? prepared;
        report({ detail, bytesDone: Number(bytesDone), bytesTotal: Number(bytesTotal) });
      }
    } catch (err) {
      throw faultFromHost(err, host);
    }
    if (prepared) return machineFromProto(prepared);
    throw unreachable(host, `host ${host.name} stopped preparing the machine`);
  }

  /** Lists the host's machines by id. */
  async listMachines(host: HostAddress, limits: CallLimits): Promise<readonly Machine[]> {
    const client = this.#connections.at(host.address);
    const { machines } = await send(host, client, client.listMachines, {}, bound(LIST_TIMEOUT_MS, limits));
    return machines.map(machineFromProto);
  }

  /** Sets whether the host takes machines; returns the previous value. */
  async setScheduling(host: HostAddress, scheduling: Scheduling, limits: CallLimits): Promise<Scheduling> {
    const client = this.#connections.at(host.address);
    const request = { scheduling: schedulingToProto(scheduling) };
    const scope = bound(SET_TIMEOUT_MS, limits);
    const { previous } = await send(host, client, client.setScheduling, request, scope);
    return schedulingFromProto(previous);
  }

  /** Asks a host what it would announce. */
  async getHost(host: HostAddress, limits: CallLimits): Promise<HostReport> {
    const client = this.#connections.at(host.address);
    const response = await send(host, client, client.getHost, {}, bound(LIST_TIMEOUT_MS, limits));
    if (!response.info) throw new Error(`host ${host.number} answered without saying who it is`);
    return {
      announced: announcedFromProto(response.info),
      isDelivered: response.outboxAcknowledged >= response.outboxSequence,
    };
  }
}

async function send<Req, Res>(
  host: HostAddress,
  client: HostServiceClient,
  method: UnaryMethod<Req, Res>,
  request: Req,
  scope: CallScope,
): Promise<Res> {
  try {
    return await call(client, method, request, scope);
  } catch (err) {
    // A call that we aborted says nothing about the host.
    throw scope.signal?.aborted ? err : faultFromHost(err, host);
  }
}

type StartRequest = Parameters<HostServiceClient["startMachine"]>[0];

async function sendStart(
  host: HostAddress,
  client: HostServiceClient,
  request: StartRequest,
  limits: CallLimits,
) {
  try {
    return await call(client, client.startMachine, request, bound(START_TIMEOUT_MS, limits));
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

function bound(timeoutMs: number, limits: CallLimits): CallScope {
  const limitMs = Math.min(timeoutMs, limits.remainingMs ?? Number.POSITIVE_INFINITY);
  return { timeoutMs: limitMs, ...(limits.signal ? { signal: limits.signal } : {}) };
}

function required(machine: WireMachine | undefined, host: HostAddress): Machine {
  if (!machine) throw new Error(`host ${host.number} answered without a machine`);
  return machineFromProto(machine);
}

const FROM_GRPC: ReadonlySet<string> = new Set(["PEER_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVER_DRAINING"]);

/** Converts an error of a call to a host: one that gRPC made, and not the host, becomes `HOST_UNREACHABLE`. */
export function faultFromHost(err: unknown, host: HostAddress): unknown {
  if (!(err instanceof Fault) || !FROM_GRPC.has(err.reason)) return err;
  const message = `host ${host.name || host.number} did not answer; its machines go on, try again when it is back`;
  return unreachable(host, message, err);
}

function unreachable(host: HostAddress, message: string, cause?: Fault): Fault {
  const facts = { host: host.name, host_number: String(host.number) };
  const extra = cause ? { cause, retryAfterMs: 1_000 } : {};
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, facts, extra);
}
