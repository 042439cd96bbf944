import type { Duration } from "../../gen/google/protobuf/duration.ts";
import type {
  ExitEvent,
  LogEntry,
  Machine,
  MachineConfig,
  MachineEvent,
} from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto } from "../../lib/grpc/duration.ts";
import { textJson, timeJson } from "./json.ts";
import { stateName } from "./states.ts";

const HOST_STATUSES: readonly string[] = ["unspecified", "ok", "unreachable", "unknown"];

/** Whether a machine's host answers, in a word. */
export function hostStatusName(hostStatus: number): string {
  return HOST_STATUSES[hostStatus] ?? "unknown";
}

/** The shape of a machine. */
export function machineJson(machine: Machine) {
  const ref = machine.imageRef;
  return {
    id: machine.id,
    name: machine.name,
    state: stateName(machine.state),
    generation: Number(machine.generation),
    app: machine.app,
    org: machine.org,
    region: machine.region,
    host: machine.host,
    config: machine.config ? configJson(machine.config) : null,
    image_ref: ref
      ? { registry: ref.registry, repository: ref.repository, tag: ref.tag, digest: ref.digest }
      : null,
    create_time: timeJson(machine.createTime),
    update_time: timeJson(machine.updateTime),
    events: machine.events.map(eventJson),
    service_addresses: machine.serviceAddresses.map((a) => ({
      protocol: a.protocol,
      internal_port: a.internalPort,
      address: a.address,
    })),
    host_status: hostStatusName(machine.hostStatus),
    last_start_path: textJson(machine.lastStartPath),
    last_start_trace_id: textJson(machine.lastStartTraceId),
    create_trace_id: textJson(machine.createTraceId),
  };
}

/** The shape of a configuration: also what `--config` reads. */
export function configJson(config: MachineConfig) {
  const { guest, init, stopConfig } = config;
  return {
    image: config.image,
    guest: guest ? { cpu_kind: guest.cpuKind, cpus: guest.cpus, memory_mb: guest.memoryMb } : null,
    env: config.env,
    init: init
      ? {
          exec: init.exec,
          entrypoint: init.entrypoint,
          cmd: init.cmd,
          user: init.user,
          working_dir: init.workingDir,
        }
      : null,
    services: config.services.map((s) => ({ protocol: s.protocol, internal_port: s.internalPort })),
    stop_config: stopConfig
      ? { signal: stopConfig.signal, timeout: stopConfig.timeout ? durationJson(stopConfig.timeout) : null }
      : null,
    metadata: config.metadata,
  };
}

/** The shape of an event. */
export function eventJson(event: MachineEvent) {
  return {
    id: event.id,
    type: event.type,
    status: stateName(event.status),
    source: event.source,
    time: timeJson(event.time),
    message: event.message,
    reason: textJson(event.reason),
    exit: event.exit ? exitJson(event.exit) : null,
  };
}

/** The shape of a line that a machine wrote. */
export function logJson(entry: LogEntry) {
  return {
    time: timeJson(entry.time),
    stream: entry.stream,
    text: entry.text,
    sequence: Number(entry.sequence),
  };
}

function exitJson(exit: ExitEvent) {
  return {
    exit_code: exit.exitCode ?? null,
    signal: textJson(exit.signal),
    oom_killed: exit.oomKilled,
    requested_stop: exit.requestedStop,
    exit_time: timeJson(exit.exitTime),
  };
}

/** As JSON writes protobuf's durations: `5s`, `0.5s`. */
function durationJson(duration: Duration): string {
  return `${durationFromProto(duration) / 1_000}s`;
}
