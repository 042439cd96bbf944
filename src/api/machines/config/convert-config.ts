import type * as wire from "../../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto, durationToProto } from "../../../lib/grpc/messages/duration.ts";
import { mapFromProto, mapToProto } from "../../../lib/grpc/messages/maps.ts";
import { lifeFromProto, lifeToProto } from "../../../lib/service-config/convert-check.ts";
import { serviceSettingsFromProto, serviceToProto } from "../../../lib/service-config/convert-service.ts";
import type { Dns, GuestFile, Init, MachineConfig, Restart } from "../machine.ts";
import type { ConfigInput } from "./validate-config.ts";

/** Converts a configuration without validating it. An absent one is empty. */
export function configInputFromProto(config: wire.MachineConfig | undefined): ConfigInput {
  const stop = config?.stopConfig;
  return {
    image: config?.image ?? "",
    guest: config?.guest,
    env: mapFromProto(config?.env),
    init: config?.init && initFromProto(config.init),
    services: (config?.services ?? []).map((service) => ({
      protocol: service.protocol,
      internalPort: service.internalPort,
      ...serviceSettingsFromProto(service),
    })),
    stop: stop && { signal: stop.signal, timeoutMs: durationFromProto(stop.timeout) },
    metadata: mapFromProto(config?.metadata),
    restart: config?.restart,
    autoDestroy: config?.autoDestroy ?? false,
    schedule: config?.schedule ?? "",
    files: (config?.files ?? []).map(fileFromProto),
    dns: config?.dns && dnsFromProto(config.dns),
    extra: config?.extra,
    ...lifeFromProto(config),
  };
}

/** Converts a configuration as a host stores it, which is valid. */
export function configFromProto(config: wire.MachineConfig | undefined): MachineConfig {
  const input = configInputFromProto(config);
  const { image, env, init, services, stop, metadata, autoDestroy, files = [], dns, extra } = input;
  const schedule = scheduleFromProto(config?.schedule ?? "");
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
    services: services.map((service) => ({
      ...service,
      protocol: service.protocol === "udp" ? "udp" : "tcp",
    })),
    stop: { signal: stop?.signal ?? "", timeoutMs: stop?.timeoutMs ?? 0 },
    metadata,
    ...(config?.restart ? { restart: restartFromProto(config.restart) } : {}),
    ...(autoDestroy ? { autoDestroy } : {}),
    ...(schedule ? { schedule } : {}),
    ...(files.length > 0 ? { files } : {}),
    ...(dns ? { dns } : {}),
    ...(extra ? { extra } : {}),
    ...lifeFromProto(config),
  };
}

export function configToProto(config: MachineConfig): wire.MachineConfig {
  const { image, guest, env, init, services, stop, metadata, restart, files = [], dns, extra } = config;
  return {
    restart: restart && { ...restart },
    autoDestroy: config.autoDestroy ?? false,
    schedule: config.schedule ?? "",
    files: files.map(fileToProto),
    dns: dns && dnsToProto(dns),
    extra: extra && { ...extra },
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
    services: services.map(serviceToProto),
    stopConfig: { signal: stop.signal, timeout: durationToProto(stop.timeoutMs) },
    metadata: mapToProto(metadata),
    ...lifeToProto(config),
  };
}

function initFromProto({ exec, entrypoint, cmd, user, workingDir, tty }: wire.InitConfig): Init {
  return { exec, entrypoint, cmd, user, workingDir, ...(tty ? { tty } : {}) };
}

function restartFromProto({ policy, maxRetries }: wire.RestartConfig): Restart {
  return { policy: policy === "always" || policy === "on-failure" ? policy : "no", maxRetries };
}

function scheduleFromProto(schedule: string): MachineConfig["schedule"] {
  switch (schedule) {
    case "hourly":
    case "daily":
    case "weekly":
    case "monthly":
      return schedule;
    default:
      return undefined;
  }
}

function fileFromProto({ guestPath, content, mode }: wire.FileConfig): GuestFile {
  return { guestPath, content: Buffer.from(content).toString("base64"), mode };
}

function fileToProto({ guestPath, content, mode }: GuestFile): wire.FileConfig {
  return { guestPath, content: Buffer.from(content, "base64"), mode };
}

function dnsFromProto({ nameservers, searches, options, hostname }: wire.DnsConfig): Dns {
  return { nameservers, searches, options, hostname };
}

function dnsToProto({ nameservers, searches, options, hostname }: Dns): wire.DnsConfig {
  return { nameservers: [...nameservers], searches: [...searches], options: [...options], hostname };
}
