import type { MachineStatus } from "../gen/windhover/admin/v1/hosts.ts";
import * as pb from "../gen/windhover/machines/v1/machine.ts";
import { HostStatus, MachineState as MachineStateProto } from "../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../lib/grpc/messages/duration.ts";
import { mapToProto } from "../lib/grpc/messages/maps.ts";
import type { StoredLine } from "./logs/line-format.ts";
import type { ExitInfo, Machine, MachineConfig, MachineEvent } from "./machines/machine.ts";
import { MACHINE_STATES, type MachineState } from "./machines/states.ts";

const STATES = {
  creating: MachineStateProto.CREATING,
  created: MachineStateProto.CREATED,
  starting: MachineStateProto.STARTING,
  started: MachineStateProto.STARTED,
  stopping: MachineStateProto.STOPPING,
  stopped: MachineStateProto.STOPPED,
  failed: MachineStateProto.FAILED,
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
): pb.Machine {
  const { spec } = machine;
  return {
    ...statusToProto(machine),
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

/** Converts what changes about a machine after its create. */
export function statusToProto(machine: Machine): MachineStatus {
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
    instanceId: "",
    lease: undefined,
    cordoned: false,
    restartCount: 0,
    nextStartTime: undefined,
  };
}

export function eventToProto(event: MachineEvent): pb.MachineEvent {
  return {
    restartCount: 0,
    instanceId: "",
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

export function lineToProto({ timeUs, stream, text, sequence }: StoredLine): pb.LogEntry {
  return { time: new Date(timeUs / 1_000), stream, text, sequence: BigInt(sequence) };
}

function exitToProto(exit: ExitInfo): pb.ExitEvent {
  return {
    restarting: false,
    exitCode: exit.exitCode,
    signal: exit.signal,
    oomKilled: exit.oomKilled,
    requestedStop: exit.requestedStop,
    exitTime: new Date(exit.exitedAtMs),
  };
}

function configToProto({
  image,
  guest,
  env,
  init,
  services,
  stop,
  metadata,
}: MachineConfig): pb.MachineConfig {
  const hasInit =
    init.exec.length + init.entrypoint.length + init.cmd.length > 0 || init.user + init.workingDir !== "";
  const hasStop = stop.signal !== "" || stop.timeoutMs !== undefined;
  return {
    ...pb.MachineConfig.create(),
    image,
    guest: { ...guest },
    env: mapToProto(env),
    init: hasInit
      ? { ...init, tty: false, exec: [...init.exec], entrypoint: [...init.entrypoint], cmd: [...init.cmd] }
      : undefined,
    services: services.map((service) => ({ ...service })),
    stopConfig: hasStop
      ? {
          signal: stop.signal,
          timeout: durationToProto(stop.timeoutMs),
        }
      : undefined,
    metadata: mapToProto(metadata),
  };
}
