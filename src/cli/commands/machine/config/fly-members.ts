import { UsageError } from "../../../session/faults/usage-error.ts";
import { isObject } from "./schema-fields.ts";
import { SIZES } from "./vm-sizes.ts";

type Json = Readonly<Record<string, unknown>>;

/** Members of `init` that an entry of `processes` overrides. */
const PROGRAM = ["exec", "entrypoint", "cmd", "user"] as const;
/** Members that mean nothing here: it is always so, or they only describe. */
const NEEDLESS = new Set(["skip_registration", "ignore_app_secrets", "force_instance_description"]);

/**
 * Moves what only Fly's configurations have to where hover's have the same: a preset into `guest`, the one
 * entry of `processes` into `init` and `env`.
 */
export function withOwnMembers(config: Json): Json {
  const { size, processes, ...rest } = config;
  const preset = typeof size === "string" ? SIZES.get(size.toLowerCase()) : undefined;
  const guest = preset && { cpu_kind: preset.cpuKind, cpus: preset.cpus, memory_mb: preset.memoryMb };
  const [process, ...others] = Array.isArray(processes) ? processes : [];
  const one = others.length === 0 && isObject(process) ? process : undefined;
  return {
    ...(guest ? { guest } : size === undefined ? {} : { size }),
    ...rest,
    ...(one ? programOf(one, rest) : processes === undefined ? {} : { processes }),
  };
}

/** Refuses what is not built yet, and without which the machine would be another one. @throws UsageError */
export function refuseUnbuilt(extra: Json, name: string): void {
  const lists = ["mounts", "volumes", "containers", "processes"].filter((each) => saysSomething(extra[each]));
  const guest = isObject(extra["guest"]) ? extra["guest"] : {};
  const gpus = ["gpu_kind", "gpus"]
    .filter((each) => saysSomething(guest[each]))
    .map((each) => `guest.${each}`);
  const files = Array.isArray(extra["files"]) ? extra["files"] : [];
  const contents = files.flatMap((file, i) =>
    ["secret_name", "image_config"].flatMap((each) =>
      isObject(file) && saysSomething(file[each]) ? [`files[${i}].${each}`] : [],
    ),
  );
  const size = saysSomething(extra["size"]) ? ["size"] : [];
  const all = [...lists, ...gpus, ...contents, ...size];
  if (all.length > 0) throw new UsageError(`${name} has what is not built yet: ${all.join(", ")}`);
}

/** Names the members of `extra` that ask for something, which the machine does not do. */
export function ignoredMembers(extra: unknown, at = ""): readonly string[] {
  if (Array.isArray(extra)) return extra.flatMap((each, i) => ignoredMembers(each, `${at}[${i}]`));
  if (!isObject(extra)) return saysSomething(extra) ? [at] : [];
  return Object.entries(extra).flatMap(([name, value]) =>
    NEEDLESS.has(name) ? [] : ignoredMembers(value, at === "" ? name : `${at}.${name}`),
  );
}

function programOf(process: Json, { init, env }: Json): Json {
  const given = PROGRAM.filter((each) => saysSomething(process[each]));
  const own = Object.fromEntries(given.map((each) => [each, process[each]]));
  const { exec: _e, entrypoint: _p, cmd: _c, user: _u, env: more, ...others } = process;
  return {
    ...(given.length > 0 ? { init: { ...(isObject(init) ? init : {}), ...own } } : {}),
    ...(isObject(more) ? { env: { ...(isObject(env) ? env : {}), ...more } } : {}),
    ...(saysSomething(others) ? { processes: [others] } : {}),
  };
}

function saysSomething(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(saysSomething);
  if (isObject(value)) return Object.values(value).some(saysSomething);
  return !!value && value !== "never";
}
