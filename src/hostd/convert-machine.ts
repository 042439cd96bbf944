import type { MachineStatus } from "../gen/windhover/admin/v1/hosts.ts";
import type * as pb from "../gen/windhover/machines/v1/machine.ts";
import { HostStatus, MachineState as MachineStateProto } from "../gen/windhover/machines/v1/machine.ts";
import { configToProto } from "./convert-config.ts";
import type { StoredLine } from "./logs/line-format.ts";
import { busyUntilMs } from "./machines/health/busy.ts";
import { heldLease } from "./machines/lease.ts";
import type { CheckStatus, ExitInfo, Lease, Machine, MachineEvent } from "./machines/machine.ts";
import { lifetimeEndMs, nextStartMs } from "./machines/own-starts/due.ts";
import { MACHINE_STATES, type MachineState } from "./machines/states.ts";

const STATES = {
  creating: MachineStateProto.CREATING,
  created: MachineStateProto.CREATED,
  starting: MachineStateProto.STARTING,
  started: MachineStateProto.STARTED,
  stopping: MachineStateProto.STOPPING,
  stopped: MachineStateProto.STOPPED,
  failed: MachineStateProto.FAILED,
  suspending: MachineStateProto.SUSPENDING,
  suspended: MachineStateProto.SUSPENDED,
  restarting: MachineStateProto.RESTARTING,
  updating: MachineStateProto.UPDATING,
  destroying: MachineStateProto.DESTROYING,
  destroyed: MachineStateProto.DESTROYED,
} satisfies Record<MachineState, MachineStateProto>;

export function stateToProto(state: MachineState): MachineStateProto {
  return STATES[state];
}

/** Converts a state; undefined for one that no machine on a host is in. */
export function stateFromProto(state: MachineStateProto): MachineState | undefined {
  return MACHINE_STATES.find((each) => STATES[each] === state);
}

/** Parts of a machine that a message may leave out. */
export type OptionalPart = "config" | "events";

export function machineToProto(
  machine: Machine,
  hostName: string,
  without: readonly OptionalPart[] = [],
  nowMs = Date.now(),
): pb.Machine {
  const { spec } = machine;
  return {
    ...statusToProto(machine, nowMs),
    name: spec.name,
    app: spec.app,
    org: spec.org,
    region: spec.region,
    host: hostName,
    config: without.includes("config") ? undefined : configToProto(spec.config),
    imageRef: { ...spec.imageRef },
    createTime: new Date(spec.createdAtMs),
    events: without.includes("events") ? [] : machine.events.map(eventToProto),
    hostStatus: HostStatus.OK,
    createTraceId: spec.createTraceId,
  };
}

/** Converts the part of a machine that changes without a new configuration. */
export function statusToProto(machine: Machine, nowMs = Date.now()): MachineStatus {
  const lease = heldLease(machine, nowMs);
  const startMs = nextStartMs(machine);
  const busyMs = busyUntilMs(machine, nowMs);
  const endMs = lifetimeEndMs(machine);
  return {
    id: machine.id,
    state: stateToProto(machine.state),
    generation: BigInt(machine.generation),
    updateTime: new Date(machine.updatedAtMs),
    serviceAddresses: machine.spec.config.services.flatMap(({ protocol, internalPort }, index) => {
      const port = machine.ports[index];
      return port === undefined ? [] : [{ protocol, internalPort, address: `127.0.0.1:${port}` }];
    }),
    lastStartPath: machine.lastStartPath,
    lastStartTraceId: machine.lastStartTraceId,
    imageBytes: BigInt(machine.spec.image?.sizeBytes ?? 0),
    instanceId: machine.spec.instanceId,
    lease: lease && { ...leaseToProto(lease), nonce: "" },
    cordoned: machine.isCordoned ?? false,
    restartCount: machine.restarts?.count ?? 0,
    nextStartTime: startMs === undefined ? undefined : new Date(startMs),
    ready: machine.state === "started" && (machine.isReady ?? false),
    checks: (machine.checks ?? []).map(checkToProto),
    busyUntilTime: busyMs === undefined ? undefined : new Date(busyMs),
    lifetimeEndTime: endMs === undefined ? undefined : new Date(endMs),
  };
}

export function eventToProto(event: MachineEvent): pb.MachineEvent {
  return {
    restartCount: event.restartCount ?? 0,
    instanceId: event.instanceId ?? "",
    id: event.id,
    type: event.type,
    status: stateToProto(event.status),
    source: event.source,
    time: new Date(event.timeMs),
    message: event.message,
    exit: event.exit && exitToProto(event.exit),
    reason: event.reason,
  };
}

function checkToProto({ name, status, output, updatedAtMs, isReadiness }: CheckStatus): pb.CheckStatus {
  return { name, status, output, updateTime: new Date(updatedAtMs), readiness: isReadiness };
}

/** Converts a lease with its nonce, which only its holder may see. */
export function leaseToProto({ nonce, owner, description, expireAtMs, instanceId }: Lease): pb.Lease {
  return { nonce, owner, description, expireTime: new Date(expireAtMs), instanceId };
}

export function lineToProto({ timeUs, stream, text, sequence }: StoredLine): pb.LogEntry {
  return { time: new Date(timeUs / 1_000), stream, text, sequence: BigInt(sequence) };
}

function exitToProto(exit: ExitInfo): pb.ExitEvent {
  return {
    restarting: exit.restarting ?? false,
    exitCode: exit.exitCode,
    signal: exit.signal,
    oomKilled: exit.oomKilled,
    requestedStop: exit.requestedStop,
    exitTime: new Date(exit.exitedAtMs),
  };
}
