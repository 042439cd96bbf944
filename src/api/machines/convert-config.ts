import type * as wire from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../../lib/grpc/duration.ts";
import type { Guest, Init, MachineConfig } from "./machine.ts";
import type { ConfigInput } from "./validate-config.ts";

/** A configuration as a caller wrote it, to be validated. An absent one is an empty one. */
export function configInput(config: wire.MachineConfig | undefined): ConfigInput {
  const stop = config?.stopConfig;
  return {
    image: config?.image ?? "",
    guest: config?.guest,
    env: config?.env ?? {},
    init: config?.init && initFrom(config.init),
    services: config?.services ?? [],
    stop: stop && { signal: stop.signal, timeoutMs: durationFromProto(stop.timeout) },
    metadata: config?.metadata ?? {},
  };
}

/** A configuration as a host keeps it: it was valid when it was sent there. */
export function configFrom(config: wire.MachineConfig | undefined): MachineConfig {
  const input = configInput(config);
  return {
    image: input.image,
    guest: guestFrom(config?.guest),
    env: input.env,
    ...(input.init ? { init: input.init } : {}),
    services: input.services.map((service) => ({
      protocol: service.protocol === "udp" ? "udp" : "tcp",
      internalPort: service.internalPort,
    })),
    stop: { signal: input.stop?.signal ?? "", timeoutMs: input.stop?.timeoutMs ?? 0 },
    metadata: input.metadata,
  };
}

/** Puts a configuration on the wire. */
export function configTo(config: MachineConfig): wire.MachineConfig {
  return {
    image: config.image,
    guest: { ...config.guest },
    env: { ...config.env },
    init: config.init && initTo(config.init),
    services: config.services.map((service) => ({ ...service })),
    stopConfig: { signal: config.stop.signal, timeout: durationToProto(config.stop.timeoutMs) },
    metadata: { ...config.metadata },
  };
}

function guestFrom(guest: wire.GuestConfig | undefined): Guest {
  return {
    cpuKind: guest?.cpuKind === "performance" ? "performance" : "shared",
    cpus: guest?.cpus ?? 0,
    memoryMb: guest?.memoryMb ?? 0,
  };
}

function initFrom(init: wire.InitConfig): Init {
  const { exec, entrypoint, cmd, user, workingDir } = init;
  return { exec, entrypoint, cmd, user, workingDir };
}

function initTo(init: Init): wire.InitConfig {
  return {
    exec: [...init.exec],
    entrypoint: [...init.entrypoint],
    cmd: [...init.cmd],
    user: init.user,
    workingDir: init.workingDir,
  };
}
