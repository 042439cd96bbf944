import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../../lib/grpc/messages/duration.ts";
import { mapFromProto, mapToProto } from "../../lib/grpc/messages/maps.ts";
import type { MachineConfig } from "./machine.ts";
import type { ConfigInput } from "./validate-config.ts";

/** Converts a configuration without validating it. An absent one is empty. */
export function configInputFromProto(config: wire.MachineConfig | undefined): ConfigInput {
  const stop = config?.stopConfig;
  return {
    image: config?.image ?? "",
    guest: config?.guest,
    env: mapFromProto(config?.env),
    init: config?.init && initFromProto(config.init),
    services: config?.services ?? [],
    stop: stop && { signal: stop.signal, timeoutMs: durationFromProto(stop.timeout) },
    metadata: mapFromProto(config?.metadata),
  };
}

/** Converts a configuration as a host stores it, which is valid. */
export function configFromProto(config: wire.MachineConfig | undefined): MachineConfig {
  const { image, env, init, services, stop, metadata } = configInputFromProto(config);
  const guest = config?.guest;
  return {
    image,
    guest: {
      cpuKind: guest?.cpuKind === "performance" ? "performance" : "shared",
      cpus: guest?.cpus ?? 0,
      memoryMb: guest?.memoryMb ?? 0,
    },
    env,
    ...(init ? { init } : {}),
    services: services.map(({ protocol, internalPort }) => ({
      protocol: protocol === "udp" ? "udp" : "tcp",
      internalPort,
    })),
    stop: { signal: stop?.signal ?? "", timeoutMs: stop?.timeoutMs ?? 0 },
    metadata,
  };
}

export function configToProto(config: MachineConfig): wire.MachineConfig {
  const { image, guest, env, init, services, stop, metadata } = config;
  return {
    restart: undefined,
    autoDestroy: false,
    schedule: "",
    files: [],
    dns: undefined,
    extra: undefined,
    image,
    guest: { ...guest },
    env: mapToProto(env),
    init: init && {
      tty: false,
      ...init,
      exec: [...init.exec],
      entrypoint: [...init.entrypoint],
      cmd: [...init.cmd],
    },
    services: services.map((service) => ({ ...service })),
    stopConfig: { signal: stop.signal, timeout: durationToProto(stop.timeoutMs) },
    metadata: mapToProto(metadata),
  };
}

function initFromProto({ exec, entrypoint, cmd, user, workingDir }: wire.InitConfig) {
  return { exec, entrypoint, cmd, user, workingDir };
}
