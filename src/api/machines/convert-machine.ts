import type * as wireHosts from "../../gen/windhover/admin/v1/hosts.ts";
import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import {
  MachineState as WireState,
  HostStatus as WireStatus,
} from "../../gen/windhover/machines/v1/machine.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { configFromProto, configToProto } from "./config/convert-config.ts";
import { checksFromProto, checkToProto } from "./convert-checks.ts";
import type {
  Exit,
  HostStatus,
  Lease,
  Machine,
  MachineConfig,
  MachineEvent,
  MachineState,
  MachineStatus,
} from "./machine.ts";

const STATE_FROM_PROTO: Record<WireState, MachineState> = {
  [WireState.UNSPECIFIED]: "unknown",
  [WireState.CREATING]: "creating",
  [WireState.CREATED]: "created",
  [WireState.STARTING]: "starting",
  [WireState.STARTED]: "started",
  [WireState.STOPPING]: "stopping",
  [WireState.STOPPED]: "stopped",
  [WireState.FAILED]: "failed",
  [WireState.DESTROYING]: "destroying",
  [WireState.DESTROYED]: "destroyed",
  [WireState.SUSPENDING]: "suspending",
  [WireState.SUSPENDED]: "suspended",
  [WireState.RESTARTING]: "restarting",
  [WireState.UPDATING]: "updating",
  [WireState.REPLACING]: "replacing",
  [WireState.REPLACED]: "replaced",
  [WireState.LAUNCH_FAILED]: "launch_failed",
  [WireState.MIGRATED]: "migrated",
  [WireState.UNRECOGNIZED]: "unknown",
};

const STATE_TO_PROTO: Record<MachineState, WireState> = {
  unknown: WireState.UNSPECIFIED,
  creating: WireState.CREATING,
  created: WireState.CREATED,
  starting: WireState.STARTING,
  started: WireState.STARTED,
  stopping: WireState.STOPPING,
  stopped: WireState.STOPPED,
  failed: WireState.FAILED,
  destroying: WireState.DESTROYING,
  destroyed: WireState.DESTROYED,
  suspending: WireState.SUSPENDING,
  suspended: WireState.SUSPENDED,
  restarting: WireState.RESTARTING,
  updating: WireState.UPDATING,
  replacing: WireState.REPLACING,
  replaced: WireState.REPLACED,
  launch_failed: WireState.LAUNCH_FAILED,
  migrated: WireState.MIGRATED,
};

const HOST_STATUS_TO_PROTO: Record<HostStatus, WireStatus> = {
  ok: WireStatus.OK,
  unreachable: WireStatus.UNREACHABLE,
  unknown: WireStatus.UNKNOWN,
};

const NO_CONFIG: MachineConfig = configFromProto(undefined);

export function stateFromProto(state: WireState): MachineState {
  return STATE_FROM_PROTO[state] ?? "unknown";
}

export function stateToProto(state: MachineState): WireState {
  return STATE_TO_PROTO[state];
}

export function machineFromProto(machine: wire.Machine): Machine {
  return {
    ...statusFromProto(machine),
    name: machine.name,
    app: machine.app,
    org: machine.org,
    region: machine.region,
    host: machine.host,
    config: configFromProto(machine.config),
    ...(machine.imageRef ? { imageRef: { ...machine.imageRef } } : {}),
    createTimeMs: machine.createTime?.getTime() ?? 0,
    events: machine.events.map(eventFromProto),
    createTraceId: machine.createTraceId,
  };
}

/** Converts a machine that was sent without its configuration. */
export function describedFromProto(machine: wire.Machine): Omit<Machine, "config"> {
  const { config: _, ...described } = machineFromProto(machine);
  return described;
}

export function statusFromProto(machine: wire.Machine | wireHosts.MachineStatus): MachineStatus {
  return {
    id: machine.id,
    state: stateFromProto(machine.state),
    generation: machine.generation.toString(),
    updateTimeMs: machine.updateTime?.getTime() ?? 0,
    serviceAddresses: machine.serviceAddresses,
    lastStartPath: machine.lastStartPath,
    lastStartTraceId: machine.lastStartTraceId,
    // A number from a host must fit into its column.
    imageBytes: Math.max(0, Math.min(Number(machine.imageBytes), Number.MAX_SAFE_INTEGER)),
    ...(machine.instanceId ? { instanceId: machine.instanceId } : {}),
    // Null and not absent: it replaces what is stored.
    lease: machine.lease ? leaseFromProto(machine.lease) : null,
    cordoned: machine.cordoned,
    restartCount: machine.restartCount,
    nextStartTimeMs: machine.nextStartTime?.getTime() ?? null,
    ready: machine.ready,
    checks: checksFromProto(machine.checks),
    busyUntilTimeMs: machine.busyUntilTime?.getTime() ?? null,
    lifetimeEndTimeMs: machine.lifetimeEndTime?.getTime() ?? null,
  };
}

export function machineToProto(machine: Machine, hostStatus: HostStatus): wire.Machine {
  const { lease } = machine;
  // A host sends no lease that has expired; a stored machine may have one.
  const isHeld = lease && (hostStatus === "ok" || lease.expireTimeMs > Date.now());
  return {
    instanceId: machine.instanceId ?? "",
    lease: isHeld ? leaseToProto(lease) : undefined,
    cordoned: machine.cordoned ?? false,
    restartCount: machine.restartCount ?? 0,
    nextStartTime: timeToProto(machine.nextStartTimeMs ?? undefined),
    id: machine.id,
    name: machine.name,
    state: stateToProto(machine.state),
    generation: BigInt(machine.generation),
    app: machine.app,
    org: machine.org,
    region: machine.region,
    host: machine.host,
    config: configToProto(machine.config),
    imageRef: machine.imageRef && { ...machine.imageRef },
    createTime: timeToProto(machine.createTimeMs),
    updateTime: timeToProto(machine.updateTimeMs),
    events: machine.events.map(eventToProto),
    serviceAddresses: machine.serviceAddresses.map((address) => ({ ...address })),
    hostStatus: HOST_STATUS_TO_PROTO[hostStatus],
    lastStartPath: machine.lastStartPath,
    lastStartTraceId: machine.lastStartTraceId,
    createTraceId: machine.createTraceId,
    imageBytes: BigInt(machine.imageBytes ?? 0),
    ready: machine.ready ?? false,
    checks: (machine.checks ?? []).map(checkToProto),
    busyUntilTime: timeToProto(machine.busyUntilTimeMs ?? undefined),
    lifetimeEndTime: timeToProto(machine.lifetimeEndTimeMs ?? undefined),
  };
}

/** Converts a machine, without its configuration. */
export function describedToProto(machine: Omit<Machine, "config">, hostStatus: HostStatus): wire.Machine {
  return { ...machineToProto({ ...machine, config: NO_CONFIG }, hostStatus), config: undefined };
}

/**
 * Converts a machine of a list, which shows no values that may be secrets: no variables, program or
 * files.
 */
export function listedToProto(machine: Machine, hostStatus: HostStatus): wire.Machine {
  const { config, ...rest } = machineToProto(machine, hostStatus);
  const hidden = { env: new Map(), init: undefined, files: [], extra: undefined };
  return { ...rest, config: config && { ...config, ...hidden } };
}

export function eventFromProto(event: wire.MachineEvent): MachineEvent {
  return {
    id: event.id,
    type: event.type,
    status: stateFromProto(event.status),
    source: event.source,
    timeMs: event.time?.getTime() ?? 0,
    message: event.message,
    ...(event.exit ? { exit: exitFromProto(event.exit) } : {}),
    reason: event.reason,
    ...(event.restartCount > 0 ? { restartCount: event.restartCount } : {}),
    ...(event.instanceId === "" ? {} : { instanceId: event.instanceId }),
  };
}

export function eventToProto(event: MachineEvent): wire.MachineEvent {
  return {
    restartCount: event.restartCount ?? 0,
    instanceId: event.instanceId ?? "",
    id: event.id,
    type: event.type,
    status: stateToProto(event.status),
    source: event.source,
    time: timeToProto(event.timeMs),
    message: event.message,
    exit: event.exit && exitToProto(event.exit),
    reason: event.reason,
  };
}

function exitFromProto(exit: wire.ExitEvent): Exit {
  const { exitCode, exitTime, signal, oomKilled, requestedStop, restarting } = exit;
  return {
    ...(exitCode === undefined ? {} : { exitCode }),
    signal,
    oomKilled,
    requestedStop,
    ...(exitTime ? { exitTimeMs: exitTime.getTime() } : {}),
    ...(restarting ? { restarting } : {}),
  };
}

function exitToProto(exit: Exit): wire.ExitEvent {
  const { exitCode, exitTimeMs, signal, oomKilled, requestedStop, restarting = false } = exit;
  return { exitCode, signal, oomKilled, requestedStop, exitTime: timeToProto(exitTimeMs), restarting };
}

/** Converts a lease without its nonce, which is neither stored nor shown. */
export function leaseFromProto({ owner, description, expireTime, instanceId }: wire.Lease): Lease {
  return { owner, description, expireTimeMs: expireTime?.getTime() ?? 0, instanceId };
}

/** Converts a lease. @param nonce for the answer to its holder; empty: not shown */
export function leaseToProto(lease: Lease, nonce = ""): wire.Lease {
  const { owner, description, expireTimeMs, instanceId } = lease;
  return { nonce, owner, description, expireTime: timeToProto(expireTimeMs), instanceId };
}
