import type { Violations } from "../../lib/faults/violations.ts";
import type { Guest, Init, MachineConfig, Service } from "./machine.ts";

/** A configuration that is not validated. */
export interface ConfigInput {
  readonly image: string;
  readonly guest?: { readonly cpuKind: string; readonly cpus: number; readonly memoryMb: number } | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly init?: Init | undefined;
  readonly services: readonly { readonly protocol: string; readonly internalPort: number }[];
  readonly stop?: { readonly signal: string; readonly timeoutMs?: number | undefined } | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Returns what is wrong with an image reference; undefined when it is well formed. */
export type ImageCheck = (reference: string) => string | undefined;

/** Least and most memory per virtual CPU in MB. */
const MEMORY_PER_CPU = { shared: [256, 2048], performance: [2048, 8192] } as const;
const MEMORY_STEP_MB = 256;
const MAX_CPUS = 16;
const MAX_ENV_ENTRIES = 256;
const MAX_ENV_BYTES = 64 * 1024;
const MAX_INIT_BYTES = 64 * 1024;
const MAX_SERVICES = 16;
const MAX_STOP_MS = 300_000;
const DEFAULT_STOP_MS = 5_000;
const MAX_METADATA_ENTRIES = 64;
const MAX_METADATA_KEY_BYTES = 128;
const MAX_METADATA_VALUE_BYTES = 2048;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const USER = /^[A-Za-z0-9_.][A-Za-z0-9_.-]*(?::[A-Za-z0-9_.][A-Za-z0-9_.-]*)?$/;

export const STOP_SIGNALS: readonly string[] = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGTERM",
];

/** Fills in defaults and adds every violation; the result is valid only when there is none. */
export function validateConfig(
  input: ConfigInput,
  checkImage: ImageCheck,
  violations: Violations,
): MachineConfig {
  const add: Add = (field, description) => violations.add(`config.${field}`, description);
  const image =
    input.image === "" ? "is required, e.g. nginx or 127.0.0.1:5000/app:tag" : checkImage(input.image);
  add("image", image);
  checkEnv(input.env, add);
  if (input.init) checkInit(input.init, add);
  checkMetadata(input.metadata, add);
  return {
    image: input.image,
    guest: validGuest(input.guest, add),
    env: input.env,
    ...(input.init ? { init: input.init } : {}),
    services: validServices(input.services, add),
    stop: validStop(input.stop, violations),
    metadata: input.metadata,
  };
}

type Add = (field: string, description: string | undefined) => void;

function validGuest(input: ConfigInput["guest"], add: Add): Guest {
  const cpuKind = input?.cpuKind || "shared";
  const cpus = input?.cpus || 1;
  if (cpuKind !== "shared" && cpuKind !== "performance") {
    add("guest.cpu_kind", `must be shared or performance, not "${cpuKind}"`);
  }
  const known = cpuKind === "performance" ? "performance" : "shared";
  const cpusFit = cpus >= 1 && cpus <= MAX_CPUS;
  if (!cpusFit) add("guest.cpus", `must be 1 to ${MAX_CPUS}, not ${cpus}`);
  const [least, most] = MEMORY_PER_CPU[known];
  const memoryMb = input?.memoryMb || least * cpus;
  if (memoryMb < 0 || memoryMb % MEMORY_STEP_MB !== 0) {
    add("guest.memory_mb", `must be a multiple of ${MEMORY_STEP_MB}, not ${memoryMb}`);
  } else if (cpusFit && (memoryMb < least * cpus || memoryMb > most * cpus)) {
    add(
      "guest.memory_mb",
      `must be ${least * cpus} to ${most * cpus} for ${cpus} ${known} CPU${cpus === 1 ? "" : "s"}, not ${memoryMb}`,
    );
  }
  return { cpuKind: known, cpus, memoryMb };
}

function checkEnv(env: Readonly<Record<string, string>>, add: Add): void {
  const entries = Object.entries(env);
  if (entries.length > MAX_ENV_ENTRIES) {
    add("env", `must have at most ${MAX_ENV_ENTRIES} entries, not ${entries.length}`);
  }
  for (const [name, value] of entries) {
    if (!ENV_NAME.test(name)) add(`env[${printable(name)}]`, "the name must match [A-Za-z_][A-Za-z0-9_]*");
    else if (value.includes("\0")) add(`env[${name}]`, "must not contain a NUL character");
  }
  const size = entries.reduce((sum, [name, value]) => sum + bytes(name) + bytes(value), 0);
  if (size > MAX_ENV_BYTES) add("env", `must have at most ${MAX_ENV_BYTES} bytes in all, not ${size}`);
}

function checkInit(init: Init, add: Add): void {
  for (const field of ["exec", "entrypoint", "cmd"] as const) {
    const list = init[field];
    if (list.some((item) => item.includes("\0"))) add(`init.${field}`, "must not contain a NUL character");
    if (field !== "cmd" && list[0] === "") add(`init.${field}`, "must begin with the name of a program");
  }
  const size = [...init.exec, ...init.entrypoint, ...init.cmd].reduce(
    (sum, item) => sum + bytes(item) + 1,
    0,
  );
  if (size > MAX_INIT_BYTES) add("init", `must have at most ${MAX_INIT_BYTES} bytes in all, not ${size}`);
  if (init.user !== "" && (!USER.test(init.user) || init.user.length > 256)) {
    add("init.user", "must be name, uid, name:group or uid:gid");
  }
  if (init.workingDir === "") return;
  if (!init.workingDir.startsWith("/") || init.workingDir.includes("\0") || bytes(init.workingDir) > 4095) {
    add("init.working_dir", "must be an absolute path");
  }
}

function validServices(input: ConfigInput["services"], add: Add): Service[] {
  if (input.length > MAX_SERVICES)
    add("services", `must have at most ${MAX_SERVICES} entries, not ${input.length}`);
  const seen = new Set<string>();
  return input.map((service, i) => {
    const protocol = service.protocol || "tcp";
    const port = service.internalPort;
    if (protocol !== "tcp" && protocol !== "udp") {
      add(`services[${i}].protocol`, `must be tcp or udp, not "${protocol}"`);
    }
    if (port < 1 || port > 65_535) add(`services[${i}].internal_port`, `must be 1 to 65535, not ${port}`);
    const key = `${protocol}/${port}`;
    if (seen.has(key)) add(`services[${i}]`, `${key} is there already: each protocol and port once`);
    seen.add(key);
    return { protocol: protocol === "udp" ? "udp" : "tcp", internalPort: port };
  });
}

function validStop(input: ConfigInput["stop"], violations: Violations): MachineConfig["stop"] {
  const signal = input?.signal ?? "";
  const timeoutMs = input?.timeoutMs ?? DEFAULT_STOP_MS;
  checkStop("config.stop_config.signal", "config.stop_config.timeout", signal, timeoutMs, violations);
  return { signal, timeoutMs };
}

/** Checks the signal and the grace of a stop. An empty signal is valid. */
export function checkStop(
  signalField: string,
  timeoutField: string,
  signal: string,
  timeoutMs: number,
  violations: Violations,
): void {
  const isSignal = signal === "" || STOP_SIGNALS.includes(signal);
  violations.check(
    isSignal,
    signalField,
    `must be one of ${STOP_SIGNALS.join(", ")}, not "${printable(signal)}"`,
  );
  violations.check(timeoutMs >= 0 && timeoutMs <= MAX_STOP_MS, timeoutField, "must be 0 to 300 s");
}

function checkMetadata(metadata: Readonly<Record<string, string>>, add: Add): void {
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_ENTRIES) {
    add("metadata", `must have at most ${MAX_METADATA_ENTRIES} entries, not ${entries.length}`);
  }
  for (const [key, value] of entries) {
    if (key === "" || bytes(key) > MAX_METADATA_KEY_BYTES) {
      add(`metadata[${printable(key)}]`, `the key must have 1 to ${MAX_METADATA_KEY_BYTES} bytes`);
    }
    if (bytes(value) > MAX_METADATA_VALUE_BYTES) {
      add(`metadata[${printable(key)}]`, `must have at most ${MAX_METADATA_VALUE_BYTES} bytes`);
    }
    // Postgres cannot store it in JSON.
    if (key.includes("\0") || value.includes("\0"))
      add(`metadata[${printable(key)}]`, "must not contain a NUL character");
  }
}

function bytes(text: string): number {
  return Buffer.byteLength(text);
}

/** Shortens text for an error message and replaces what is not printable. */
function printable(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= 40 ? plain : `${plain.slice(0, 40)}...`;
}
