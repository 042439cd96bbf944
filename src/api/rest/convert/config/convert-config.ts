import type {
  DnsConfig,
  FileConfig,
  GuestConfig,
  InitConfig,
  MachineConfig,
  StopConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import { Violations } from "../../../../lib/faults/violations.ts";
import { durationFromProto, durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { formatDuration, isSameDuration } from "../duration.ts";
import { isObject, type Json, type JsonObject, merge, own, residual } from "../json.ts";
import { read } from "../read.ts";
import { type ConfigJson, configSchema, durationMs, explicitMs } from "./config-schema.ts";
import { type GuestSize, guestOfPreset } from "./guest-presets.ts";
import { nonDefault } from "./non-default.ts";
import { refuseUnbuilt } from "./not-built.ts";
import { markProcess, unmarkProcess } from "./process.ts";
import { checkFromJson, checkToJson, durationToJson } from "./services/convert-check.ts";
import { serviceFromJson, serviceToJson } from "./services/convert-service.ts";
import { keepServices, mergeServices, restoreServices } from "./services/services.ts";

const DEFAULT_GUEST: GuestSize = { cpu_kind: "shared", cpus: 1, memory_mb: 256 };
const DEFAULT_STOP_MS = 5_000;

/**
 * Converts a configuration of a REST client. Members that the typed fields would lose go into `extra`.
 * The default of the restart policy is `on-failure`, as Fly documents.
 *
 * @param at path of the configuration in the request
 * @throws Fault INVALID_FIELDS with every wrong field; `NOT_BUILT_YET`
 */
export function configFromJson(json: unknown, at = "config"): MachineConfig {
  const config = read(configSchema, json, at, true) ?? {};
  refuseUnbuilt(config, at);
  const violations = new Violations();
  const converted = convertConfig(config, at, violations);
  violations.throwIfAny();
  return converted;
}

/** Converts a configuration of the right types. It is whole only when there are no violations. */
export function convertConfig(config: ConfigJson, at: string, violations: Violations): MachineConfig {
  const [process] = config.processes ?? [];
  const guest = guestFromJson(config, at, violations);
  const files = (config.files ?? []).map((file, i) => {
    const missing = file.raw_value === undefined;
    violations.check(!missing, `${at}.files[${i}].raw_value`, "is required: the content as base64");
    return fileFromJson(file);
  });
  const dns = dnsFromJson(config.dns, at, violations);
  const services = mergeServices(
    (config.services ?? []).map((each, i) => serviceFromJson(each, `${at}.services[${i}]`, violations)),
  );
  const typed: MachineConfig = {
    image: config.image ?? "",
    guest,
    env: new Map(Object.entries({ ...config.env, ...process?.env })),
    init: initFromJson(config.init ?? {}, process ?? {}),
    services,
    stopConfig: stopFromJson(config.stop_config),
    metadata: new Map(Object.entries(config.metadata ?? {})),
    restart: {
      policy: config.restart?.policy ?? "on-failure",
      maxRetries: config.restart?.max_retries ?? 0,
    },
    autoDestroy: config.auto_destroy ?? false,
    schedule: config.schedule ?? "",
    files,
    dns,
    extra: undefined,
    checks: new Map(Object.entries(config.checks ?? {}).map(([name, each]) => [name, checkFromJson(each)])),
    snapshot: config.snapshot ?? "",
    maxLifetime: durationToProto(durationMs(config.max_lifetime)),
    maxBusy: durationToProto(explicitMs(config.max_busy)),
  };
  return { ...typed, extra: extraOf(config, typed) };
}

/** Converts a configuration to what its client sent, with the defaults that were filled in. */
export function configToJson(config: MachineConfig | undefined): JsonObject {
  if (config === undefined) return { guest: { ...DEFAULT_GUEST }, init: {} };
  // A message holds nothing but JSON in a Struct.
  const extra = (config.extra ?? {}) as JsonObject;
  const { processes, ...others } = extra;
  return restoreServices(merge(unmarkProcess(typedToJson(config), processes), others) as JsonObject);
}

/** Returns the members of a configuration that its typed fields would lose. */
function extraOf(config: ConfigJson, typed: MachineConfig): JsonObject | undefined {
  // `size` is a preset, whose values the guest has.
  const { processes, services, mounts: _, volumes: _v, containers: _c, size: _s, ...others } = config;
  const [process] = processes ?? [];
  const marked = process && [markProcess(process as JsonObject)];
  const given = unmarkProcess(typedToJson(typed), marked);
  const extra = {
    ...(residual(others as JsonObject, given) as JsonObject | undefined),
    ...keepServices(services as readonly JsonObject[] | undefined, given["services"]),
    ...(marked === undefined ? {} : { processes: marked }),
  };
  return Object.keys(extra).length === 0 ? undefined : extra;
}

/** Converts the typed fields, which are acted on, without those that have their default. */
export function typedToJson(config: MachineConfig): JsonObject {
  const { image, env, services, checks, metadata, restart, autoDestroy, schedule, files } = config;
  return {
    ...(image === "" ? {} : { image }),
    guest: guestToJson(config.guest),
    ...(env.size === 0 ? {} : { env: Object.fromEntries(env) }),
    init: initToJson(config.init),
    ...ifAny("services", services.map(serviceToJson)),
    ...(checks.size === 0 ? {} : { checks: checksToJson(checks) }),
    restart: {
      policy: restart?.policy || "no",
      ...(restart?.maxRetries ? { max_retries: restart.maxRetries } : {}),
    },
    ...(autoDestroy ? { auto_destroy: true } : {}),
    ...(schedule === "" ? {} : { schedule }),
    ...stopToJson(config.stopConfig, config.extra),
    ...ifAny("files", files.map(fileToJson)),
    ...(metadata.size === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
    ...dnsToJson(config.dns),
    ...nonDefault({
      snapshot: config.snapshot,
      max_lifetime: durationToJson(config.maxLifetime),
      max_busy: durationToJson(config.maxBusy),
    }),
  };
}

function checksToJson(checks: MachineConfig["checks"]): JsonObject {
  return Object.fromEntries([...checks].map(([name, check]) => [name, checkToJson(check)]));
}

function guestFromJson(
  { size, guest }: ConfigJson,
  at: string,
  violations: Violations,
): GuestConfig | undefined {
  const preset = size ? guestOfPreset(size) : undefined;
  violations.check(!size || preset !== undefined, `${at}.size`, "must be a preset such as shared-cpu-1x");
  if (preset && guest) {
    const agree =
      (guest.cpu_kind || preset.cpu_kind) === preset.cpu_kind &&
      (guest.cpus || preset.cpus) === preset.cpus &&
      (guest.memory_mb || preset.memory_mb) === preset.memory_mb;
    violations.check(agree, `${at}.size`, `is not what ${at}.guest says: leave out one of them`);
  }
  const { cpu_kind, cpus, memory_mb } = preset ?? guest ?? {};
  if (!cpu_kind && !cpus && !memory_mb) return undefined;
  return { cpuKind: cpu_kind ?? "", cpus: cpus ?? 0, memoryMb: memory_mb ?? 0 };
}

/** Converts a guest. An absent one has the defaults, as in `GetMachine`. */
function guestToJson(guest: GuestConfig | undefined): JsonObject {
  const kind = guest?.cpuKind === "performance" ? "performance" : "shared";
  const cpus = guest?.cpus || DEFAULT_GUEST.cpus;
  return {
    cpu_kind: guest?.cpuKind || DEFAULT_GUEST.cpu_kind,
    cpus,
    memory_mb: guest?.memoryMb || (kind === "performance" ? 2048 : 256) * cpus,
  };
}

type ProgramJson = Pick<NonNullable<ConfigJson["init"]>, "exec" | "entrypoint" | "cmd" | "user">;

function initFromJson(init: NonNullable<ConfigJson["init"]>, process: ProgramJson): InitConfig | undefined {
  const pick = (name: "exec" | "entrypoint" | "cmd") =>
    process[name]?.length ? process[name] : (init[name] ?? []);
  const exec = pick("exec");
  const entrypoint = pick("entrypoint");
  const cmd = pick("cmd");
  const user = process.user || init.user || "";
  const workingDir = init.working_dir ?? "";
  const tty = init.tty ?? false;
  const isEmpty = exec.length + entrypoint.length + cmd.length === 0 && user === "" && workingDir === "";
  return isEmpty && !tty ? undefined : { exec, entrypoint, cmd, user, workingDir, tty };
}

function initToJson(init: InitConfig | undefined): JsonObject {
  if (init === undefined) return {};
  const { exec, entrypoint, cmd, user, workingDir, tty } = init;
  return {
    ...ifAny("exec", exec),
    ...ifAny("entrypoint", entrypoint),
    ...ifAny("cmd", cmd),
    ...(user === "" ? {} : { user }),
    ...(workingDir === "" ? {} : { working_dir: workingDir }),
    ...(tty ? { tty } : {}),
  };
}

function stopFromJson(stop: ConfigJson["stop_config"]): StopConfig | undefined {
  const timeoutMs = durationMs(stop?.timeout);
  if (!stop?.signal && timeoutMs === undefined) return undefined;
  return { signal: stop?.signal ?? "", timeout: durationToProto(timeoutMs) };
}

/**
 * Converts a stop.
 *
 * @param extra may keep another spelling of the timeout, used while it is of the same length
 */
function stopToJson(stop: StopConfig | undefined, extra: MachineConfig["extra"]): JsonObject {
  const timeoutMs = durationFromProto(stop?.timeout) ?? DEFAULT_STOP_MS;
  const signal = stop?.signal ?? "";
  const kept = isObject(extra?.["stop_config"]) ? own(extra["stop_config"], "timeout") : undefined;
  const isTold = timeoutMs !== DEFAULT_STOP_MS || (typeof kept === "string" && !isSameDuration(kept, "0s"));
  if (signal === "" && !isTold) return {};
  return {
    stop_config: {
      ...(signal === "" ? {} : { signal }),
      ...(isTold ? { timeout: formatDuration(timeoutMs) } : {}),
    },
  };
}

function fileFromJson(file: NonNullable<ConfigJson["files"]>[number]): FileConfig {
  return {
    guestPath: file.guest_path ?? "",
    content: Buffer.from(file.raw_value ?? "", "base64"),
    mode: file.mode ?? 0,
  };
}

function fileToJson({ guestPath, content, mode }: FileConfig): JsonObject {
  return {
    guest_path: guestPath,
    raw_value: Buffer.from(content).toString("base64"),
    ...(mode === 0 ? {} : { mode }),
  };
}

function dnsFromJson(dns: ConfigJson["dns"], at: string, violations: Violations): DnsConfig | undefined {
  if (dns === undefined) return undefined;
  const options = (dns.options ?? []).map(({ name = "", value = "" }, i) => {
    const isName = name !== "" && !name.includes(":");
    violations.check(
      isName,
      `${at}.dns.options[${i}].name`,
      "must be the name of an option, without a colon",
    );
    return value === "" ? name : `${name}:${value}`;
  });
  const { nameservers = [], searches = [], hostname = "" } = dns;
  if (nameservers.length + searches.length + options.length === 0 && hostname === "") return undefined;
  return { nameservers, searches, options, hostname };
}

function dnsToJson(dns: DnsConfig | undefined): JsonObject {
  if (dns === undefined) return {};
  const json = {
    ...ifAny("nameservers", dns.nameservers),
    ...ifAny("searches", dns.searches),
    ...ifAny("options", dns.options.map(optionToJson)),
    ...(dns.hostname === "" ? {} : { hostname: dns.hostname }),
  };
  return Object.keys(json).length === 0 ? {} : { dns: json };
}

function optionToJson(option: string): JsonObject {
  const colon = option.indexOf(":");
  return colon < 0 ? { name: option } : { name: option.slice(0, colon), value: option.slice(colon + 1) };
}

/** Returns a member with a list; none when the list is empty. */
function ifAny(name: string, items: readonly Json[]): JsonObject {
  return items.length === 0 ? {} : { [name]: items };
}
