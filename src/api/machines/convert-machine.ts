import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { HostStatus, MachineState as WireState } from "../../gen/windhover/machines/v1/machine.ts";
import { configFrom, configTo } from "./convert-config.ts";
import {
  type HostStatus as DomainHostStatus,
  type Exit,
  MACHINE_STATES,
  type Machine,
  type MachineEvent,
  type MachineState,
} from "./machine.ts";

/** The state that a number on the wire stands for; `unknown` for one that this program does not know, or none. */
export function stateFrom(state: WireState): MachineState {
  // The enum and the list have the same order, and the enum begins with its unspecified value.
  return MACHINE_STATES[state - 1] ?? "unknown";
}

/** A state's number on the wire. */
export function stateTo(state: MachineState): WireState {
  if (state === "unknown") return WireState.UNSPECIFIED;
  // As above: the position in the list, counted from one, is a number of the enum.
  return (MACHINE_STATES.indexOf(state) + 1) as WireState;
}

/** A machine as a host described it. */
export function machineFrom(machine: wire.Machine): Machine {
  return {
    id: machine.id,
    name: machine.name,
    state: stateFrom(machine.state),
    generation: machine.generation.toString(),
    app: machine.app,
    org: machine.org,
    region: machine.region,
    host: machine.host,
    config: configFrom(machine.config),
    ...(machine.imageRef ? { imageRef: { ...machine.imageRef } } : {}),
    createTimeMs: machine.createTime?.getTime() ?? 0,
    updateTimeMs: machine.updateTime?.getTime() ?? 0,
    events: machine.events.map(eventFrom),
    serviceAddresses: machine.serviceAddresses,
    lastStartPath: machine.lastStartPath,
    lastStartTraceId: machine.lastStartTraceId,
    createTraceId: machine.createTraceId,
  };
}

/** Puts a machine on the wire, saying whether its host answered. */
export function machineTo(machine: Machine, hostStatus: DomainHostStatus): wire.Machine {
  return {
    id: machine.id,
    name: machine.name,
    state: stateTo(machine.state),
    generation: BigInt(machine.generation),
    app: machine.app,
    org: machine.org,
    region: machine.region,
    host: machine.host,
    config: configTo(machine.config),
    imageRef: machine.imageRef && { ...machine.imageRef },
    createTime: timeTo(machine.createTimeMs),
    updateTime: timeTo(machine.updateTimeMs),
    events: machine.events.map(eventTo),
    serviceAddresses: machine.serviceAddresses.map((address) => ({ ...address })),
    hostStatus: HOST_STATUS[hostStatus],
    lastStartPath: machine.lastStartPath,
    lastStartTraceId: machine.lastStartTraceId,
    createTraceId: machine.createTraceId,
  };
}

/** An event as a host reported it. */
export function eventFrom(event: wire.MachineEvent): MachineEvent {
  return {
    id: event.id,
    type: event.type,
    status: stateFrom(event.status),
    source: event.source,
    timeMs: event.time?.getTime() ?? 0,
    message: event.message,
    ...(event.exit ? { exit: exitFrom(event.exit) } : {}),
    reason: event.reason,
  };
}

function eventTo(event: MachineEvent): wire.MachineEvent {
  return {
    id: event.id,
    type: event.type,
    status: stateTo(event.status),
    source: event.source,
    time: timeTo(event.timeMs),
    message: event.message,
    exit: event.exit && {
      exitCode: event.exit.exitCode,
      signal: event.exit.signal,
      oomKilled: event.exit.oomKilled,
      requestedStop: event.exit.requestedStop,
      exitTime: timeTo(event.exit.exitTimeMs),
    },
    reason: event.reason,
  };
}

function exitFrom(exit: wire.ExitEvent): Exit {
  return {
    ...(exit.exitCode === undefined ? {} : { exitCode: exit.exitCode }),
    signal: exit.signal,
    oomKilled: exit.oomKilled,
    requestedStop: exit.requestedStop,
    ...(exit.exitTime ? { exitTimeMs: exit.exitTime.getTime() } : {}),
  };
}

const HOST_STATUS = {
  ok: HostStatus.OK,
  unreachable: HostStatus.UNREACHABLE,
  unknown: HostStatus.UNKNOWN,
} as const satisfies Record<DomainHostStatus, HostStatus>;

/** A time on the wire; absent when it is not known. */
export function timeTo(ms: number | undefined): Date | undefined {
  return ms === undefined || ms === 0 ? undefined : new Date(ms);
}
