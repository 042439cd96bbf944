import type { Violations } from "../../../lib/faults/violations.ts";
import type { LifeSettings } from "../../../lib/service-config/service-config.ts";
import type { Dns, Guest, GuestFile, Init, MachineConfig, Restart } from "../machine.ts";
import { bytes, type Check, isPlain, PLAIN, printable } from "./text.ts";
import { checkDns } from "./validate-dns.ts";
import { checkExtra } from "./validate-extra.ts";
import { checkFiles } from "./validate-files.ts";
import { checkMetadata } from "./validate-metadata.ts";
import { checkLife, type ServiceInput, validServices } from "./validate-services.ts";
import { checkStop } from "./validate-stop.ts";

/** A configuration that is not validated. */
export interface ConfigInput extends LifeSettings {
  readonly image: string;
  readonly guest?: { readonly cpuKind: string; readonly cpus: number; readonly memoryMb: number } | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly init?: Init | undefined;
  readonly services: readonly ServiceInput[];
  readonly stop?: { readonly signal: string; readonly timeoutMs?: number | undefined } | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly restart?: { readonly policy: string; readonly maxRetries: number } | undefined;
  readonly autoDestroy?: boolean;
  readonly schedule?: string;
  readonly files?: readonly GuestFile[];
  readonly dns?: Dns | undefined;
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

/** Returns what is wrong with an image reference; undefined when it is well formed. */
export type ImageCheck = (reference: string) => string | undefined;

/** Least and most memory per virtual CPU in MB. */
const MEMORY_PER_CPU = { shared: [256, 2048], performance: [2048, 8192] } as const;
const MEMORY_STEP_MB = 256;
const MAX_CPUS = 16;
/** Keeps messages about several machines, and their rows, small. */
const MAX_CONFIG_BYTES = 64 * 1024;
const MAX_ENV_ENTRIES = 256;
const MAX_ENV_BYTES = 64 * 1024;
const MAX_INIT_BYTES = 64 * 1024;
const DEFAULT_STOP_MS = 5_000;
const MAX_UID = 2 ** 32 - 2;
const MAX_USER_CHARS = 256;
const POLICIES = ["no", "on-failure", "always"] as const;
const MAX_RETRIES = 1_000;
const SCHEDULES = ["hourly", "daily", "weekly", "monthly"] as const;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const USER = /^[A-Za-z0-9_.][A-Za-z0-9_.-]*(?::[A-Za-z0-9_.][A-Za-z0-9_.-]*)?$/;

/** Validates the configuration of a request, which must have one. @param size encoded, in bytes */
export function requireConfig(
  input: ConfigInput | undefined,
  size: number,
  checkImage: ImageCheck,
  violations: Violations,
): MachineConfig | undefined {
  violations.check(input !== undefined, "config", "is required");
  const description = `must have at most ${MAX_CONFIG_BYTES} bytes in all, not ${size}: shorten env, init, files, metadata or extra`;
  violations.check(size <= MAX_CONFIG_BYTES, "config", description);
  return input && validateConfig(input, checkImage, violations);
}

/** Fills in defaults and adds every violation; the result is valid only when there is none. */
export function validateConfig(
  input: ConfigInput,
  checkImage: ImageCheck,
  violations: Violations,
): MachineConfig {
  const check: Check = (holds, field, description) => violations.check(holds, `config.${field}`, description);
  const { image, env, init, metadata } = input;
  const missing = "is required, e.g. nginx or 127.0.0.1:5000/app:tag";
  violations.add("config.image", image === "" ? missing : checkImage(image));
  checkEnv(env, check);
  if (init) checkInit(init, check);
  checkMetadata("metadata", metadata, check);
  const { autoDestroy = false, files = [], dns, extra, checks, snapshot, maxLifetimeMs, maxBusyMs } = input;
  const restart = input.restart && validRestart(input.restart, check);
  const schedule = validSchedule(input.schedule ?? "", check);
  checkFiles(files, check);
  if (dns) checkDns(dns, check);
  if (extra) checkExtra(extra, check);
  checkLife(input, check);
  return {
    image,
    guest: validGuest(input.guest, check),
    env,
    ...(init ? { init } : {}),
    services: validServices(input.services, check),
    stop: validStop(input.stop, violations),
    metadata,
    ...(restart ? { restart } : {}),
    ...(autoDestroy ? { autoDestroy } : {}),
    ...(schedule ? { schedule } : {}),
    ...(files.length > 0 ? { files } : {}),
    ...(dns ? { dns } : {}),
    ...(extra ? { extra } : {}),
    ...(checks ? { checks } : {}),
    ...(snapshot ? { snapshot } : {}),
    ...(maxLifetimeMs === undefined ? {} : { maxLifetimeMs }),
    ...(maxBusyMs === undefined ? {} : { maxBusyMs }),
  };
}

/** Fills in the defaults of a guest and checks it. */
export function validGuest(input: ConfigInput["guest"], check: Check): Guest {
  const cpuKind = input?.cpuKind || "shared";
  const cpus = input?.cpus || 1;
  const known = cpuKind === "performance" ? "performance" : "shared";
  check(cpuKind === known, "guest.cpu_kind", `must be shared or performance, not "${printable(cpuKind)}"`);
  const cpusFit = cpus >= 1 && cpus <= MAX_CPUS;
  check(cpusFit, "guest.cpus", `must be 1 to ${MAX_CPUS}, not ${cpus}`);
  const [minPerCpu, maxPerCpu] = MEMORY_PER_CPU[known];
  const [min, max] = [minPerCpu * cpus, maxPerCpu * cpus];
  const memoryMb = input?.memoryMb || min;
  const isMultiple = memoryMb >= 0 && memoryMb % MEMORY_STEP_MB === 0;
  check(isMultiple, "guest.memory_mb", `must be a multiple of ${MEMORY_STEP_MB}, not ${memoryMb}`);
  const memoryFits = !isMultiple || !cpusFit || (memoryMb >= min && memoryMb <= max);
  const forCpus = `for ${cpus} ${known} CPU${cpus === 1 ? "" : "s"}`;
  check(memoryFits, "guest.memory_mb", `must be ${min} to ${max} ${forCpus}, not ${memoryMb}`);
  return { cpuKind: known, cpus, memoryMb };
}

function checkEnv(env: Readonly<Record<string, string>>, check: Check): void {
  const entries = Object.entries(env);
  const { length } = entries;
  check(length <= MAX_ENV_ENTRIES, "env", `must have at most ${MAX_ENV_ENTRIES} entries, not ${length}`);
  for (const [name, value] of length <= MAX_ENV_ENTRIES ? entries : []) {
    const isName = ENV_NAME.test(name);
    const field = `env[${printable(name)}]`;
    check(isName, field, "the name must match [A-Za-z_][A-Za-z0-9_]*");
    if (isName) check(isPlain(value), field, PLAIN);
  }
  const size = entries.reduce((sum, [name, value]) => sum + bytes(name) + bytes(value), 0);
  check(size <= MAX_ENV_BYTES, "env", `must have at most ${MAX_ENV_BYTES} bytes in all, not ${size}`);
}

function checkInit(init: Init, check: Check): void {
  for (const field of ["exec", "entrypoint", "cmd"] as const) {
    const list = init[field];
    check(list.every(isPlain), `init.${field}`, PLAIN);
    check(field === "cmd" || list[0] !== "", `init.${field}`, "must begin with the name of a program");
  }
  const items = [...init.exec, ...init.entrypoint, ...init.cmd];
  const size = items.reduce((sum, item) => sum + bytes(item) + 1, 0);
  check(size <= MAX_INIT_BYTES, "init", `must have at most ${MAX_INIT_BYTES} bytes in all, not ${size}`);
  const { user, workingDir } = init;
  check(user === "" || isUser(user), "init.user", "must be name, uid, name:group or uid:gid");
  const isPath = workingDir.startsWith("/") && isPlain(workingDir) && bytes(workingDir) <= 4095;
  check(workingDir === "" || isPath, "init.working_dir", "must be an absolute path");
}

function isUser(user: string): boolean {
  if (!USER.test(user) || user.length > MAX_USER_CHARS) return false;
  return user.split(":").every((part) => !/^\d+$/.test(part) || Number(part) <= MAX_UID);
}

function validStop(input: ConfigInput["stop"], violations: Violations): MachineConfig["stop"] {
  const signal = input?.signal ?? "";
  const timeoutMs = input?.timeoutMs ?? DEFAULT_STOP_MS;
  checkStop("config.stop_config.signal", "config.stop_config.timeout", signal, timeoutMs, violations);
  return { signal, timeoutMs };
}

function validRestart({ policy, maxRetries }: { policy: string; maxRetries: number }, check: Check): Restart {
  const known = POLICIES.find((each) => each === (policy || "no"));
  const isPolicy = known !== undefined;
  check(isPolicy, "restart.policy", `must be ${POLICIES.join(", ")}, not "${printable(policy)}"`);
  const isCount = maxRetries >= 0 && maxRetries <= MAX_RETRIES;
  check(isCount, "restart.max_retries", `must be 0 to ${MAX_RETRIES}, not ${maxRetries}`);
  return { policy: known ?? "no", maxRetries };
}

function validSchedule(schedule: string, check: Check): MachineConfig["schedule"] {
  const known = SCHEDULES.find((each) => each === schedule);
  const description = `must be ${SCHEDULES.join(", ")}, not "${printable(schedule)}"`;
  check(schedule === "" || known !== undefined, "schedule", description);
  return known;
}
