import { busyUntilMs } from "../machines/health/busy.ts";
import type { Machine, MachineEvent } from "../machines/machine.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * Converts a machine for its own program, with the names of the REST API. Without secrets, files and
 * what proxies do with services: an api tells the whole configuration.
 */
export function machineToJson(machine: Machine, nowMs: number): Json {
  const { id, spec } = machine;
  const { config } = spec;
  const busyMs = busyUntilMs(machine, nowMs);
  const { registry, repository, tag, digest } = spec.imageRef;
  return {
    ...{ id, name: spec.name, app_name: spec.app, state: machine.state, region: spec.region },
    ...{ instance_id: spec.instanceId, version: spec.instanceId, host_status: "ok" },
    config: {
      image: config.image,
      guest: {
        cpu_kind: config.guest.cpuKind,
        cpus: config.guest.cpus,
        memory_mb: config.guest.memoryMb,
      },
      ...{ env: config.env, metadata: config.metadata, init: {} },
      services: config.services.map(({ protocol, internalPort }) => ({
        protocol,
        internal_port: internalPort,
      })),
    },
    image_ref: { registry, repository, tag, digest, labels: {} },
    created_at: new Date(spec.createdAtMs).toISOString(),
    updated_at: new Date(machine.updatedAtMs).toISOString(),
    events: machine.events.map(eventToJson),
    checks: (machine.checks ?? []).map(({ name, status, output, updatedAtMs }) => ({
      ...{ name, status, output, updated_at: new Date(updatedAtMs).toISOString() },
    })),
    ready: machine.state === "started" && (machine.isReady ?? false),
    cordoned: machine.isCordoned ?? false,
    ...(busyMs === undefined ? {} : { busy_until: new Date(busyMs).toISOString() }),
  };
}

function eventToJson({ id, type, status, source, timeMs }: MachineEvent): Json {
  return { id, type, status, source: source === "hostd" ? "flyd" : source, timestamp: timeMs };
}
