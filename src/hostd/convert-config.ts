import type { Duration } from "../gen/google/protobuf/duration.ts";
import type * as pb from "../gen/windhover/machines/v1/machine.ts";
import { invalid } from "../lib/faults/fault.ts";
import { durationFromProto, durationToProto } from "../lib/grpc/messages/duration.ts";
import { mapFromProto, mapToProto } from "../lib/grpc/messages/maps.ts";
import { lifeFromProto, lifeToProto } from "../lib/service-config/convert-check.ts";
import { serviceSettingsFromProto, serviceToProto } from "../lib/service-config/convert-service.ts";
import {
  type FileConfig,
  MAX_STOP_MS,
  type MachineConfig,
  type ServiceConfig,
} from "./machines/machine-config.ts";

/** Converts a configuration, which the api has checked. @param path of it in the request. @throws Fault INVALID_FIELDS */
export function configFromProto(config: pb.MachineConfig | undefined, path: string): MachineConfig {
  const field = `${path}.stop_config.timeout`;
  const timeoutMs = between(field, config?.stopConfig?.timeout, 0, MAX_STOP_MS);
  const { exec = [], entrypoint = [], cmd = [], user = "", workingDir = "", tty } = config?.init ?? {};
  return {
    image: config?.image ?? "",
    guest: {
      cpuKind: config?.guest?.cpuKind ?? "",
      cpus: config?.guest?.cpus ?? 0,
      memoryMb: config?.guest?.memoryMb ?? 0,
    },
    env: mapFromProto(config?.env),
    init: { exec, entrypoint, cmd, user, workingDir, ...(tty ? { tty } : {}) },
    services: (config?.services ?? []).map(serviceFromProto),
    stop: { signal: config?.stopConfig?.signal ?? "", ...(timeoutMs === undefined ? {} : { timeoutMs }) },
    metadata: mapFromProto(config?.metadata),
    ...(config?.restart ? { restart: { ...config.restart } } : {}),
    ...(config?.autoDestroy ? { autoDestroy: true } : {}),
    ...(config?.schedule ? { schedule: config.schedule } : {}),
    ...(config && config.files.length > 0 ? { files: config.files.map(fileFromProto) } : {}),
    ...(config?.dns ? { dns: { ...config.dns } } : {}),
    ...(config?.extra ? { extra: config.extra } : {}),
    ...lifeFromProto(config),
  };
}

export function configToProto(config: MachineConfig): pb.MachineConfig {
  const { image, guest, env, init, services, stop, metadata, restart, dns, extra } = config;
  const hasInit =
    init.exec.length + init.entrypoint.length + init.cmd.length > 0 ||
    init.user + init.workingDir !== "" ||
    init.tty === true;
  const hasStop = stop.signal !== "" || stop.timeoutMs !== undefined;
  return {
    image,
    guest: { ...guest },
    env: mapToProto(env),
    init: hasInit
      ? {
          ...init,
          tty: init.tty ?? false,
          exec: [...init.exec],
          entrypoint: [...init.entrypoint],
          cmd: [...init.cmd],
        }
      : undefined,
    services: services.map(serviceToProto),
    stopConfig: hasStop ? { signal: stop.signal, timeout: durationToProto(stop.timeoutMs) } : undefined,
    metadata: mapToProto(metadata),
    restart: restart && { ...restart },
    autoDestroy: config.autoDestroy ?? false,
    schedule: config.schedule ?? "",
    files: (config.files ?? []).map(fileToProto),
    dns: dns && {
      nameservers: [...dns.nameservers],
      searches: [...dns.searches],
      options: [...dns.options],
      hostname: dns.hostname,
    },
    extra: extra && { ...extra },
    ...lifeToProto(config),
  };
}

/** Converts a duration. @throws Fault INVALID_FIELDS when it is not between the two */
export function between(
  field: string,
  duration: Duration | undefined,
  minMs: number,
  maxMs: number,
): number | undefined {
  const ms = durationFromProto(duration);
  if (ms === undefined || (ms >= minMs && ms <= maxMs)) return ms;
  throw invalid([{ field, description: `must be from ${minMs} ms to ${maxMs / 1_000} s` }]);
}

function serviceFromProto(service: pb.ServiceConfig): ServiceConfig {
  const { protocol, internalPort } = service;
  return {
    protocol: protocol === "udp" ? "udp" : "tcp",
    internalPort,
    ...serviceSettingsFromProto(service),
  };
}

function fileFromProto({ guestPath, content, mode }: pb.FileConfig): FileConfig {
  return { guestPath, content: Buffer.from(content).toString("base64"), mode };
}

function fileToProto({ guestPath, content, mode }: FileConfig): pb.FileConfig {
  return { guestPath, content: Buffer.from(content, "base64"), mode };
}
