import { readFileSync } from "node:fs";
import * as z from "zod";
import { DnsConfig, MachineConfig, RestartConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { durationToProto } from "../../../../lib/grpc/messages/duration.ts";
import { UsageError } from "../../../session/usage-error.ts";
import { duration } from "../../values.ts";

/** Makes the schema of an object that has no other keys. */
function object<S extends z.ZodRawShape>(shape: S) {
  const unknown = `is not known here; known are ${Object.keys(shape).join(", ")}`;
  return z.strictObject(shape, {
    error: ({ code }) => (code === "unrecognized_keys" ? unknown : "must be an object"),
  });
}

const text = z.string("must be a text").default("");
const flag = z.boolean("must be true or false").default(false);
const bytes = z
  .base64("must be base64")
  .default("")
  .transform((encoded) => Buffer.from(encoded, "base64"));
const whole = z.int("must be a whole number").default(0);
const list = z.array(z.string("must be a text"), "must be a list of texts").default([]);
/** A map of texts. Not `z.record`, which drops a key `__proto__`. */
export const texts = z
  .custom<object>((value) => isObject(value), "must be an object of texts")
  .default({})
  .transform((value, context) => {
    const entries = Object.entries(value).filter(([name, each]) => {
      if (typeof each !== "string")
        context.addIssue({ code: "custom", message: "must be a text", path: [name] });
      return typeof each === "string";
    });
    return new Map<string, string>(entries);
  });
const time = z.coerce.string().transform((raw, context) => {
  try {
    return durationToProto(duration(raw));
  } catch {
    context.addIssue('must be a length of time such as "5s"');
    return z.NEVER;
  }
});

const CONFIG = object({
  image: text,
  guest: object({ cpu_kind: text, cpus: whole, memory_mb: whole }).optional(),
  env: texts,
  init: object({
    exec: list,
    entrypoint: list,
    cmd: list,
    user: text,
    working_dir: text,
    tty: flag,
  }).optional(),
  services: z.array(object({ protocol: text, internal_port: whole }), "must be a list").default([]),
  stop_config: object({ signal: text, timeout: time.optional() }).optional(),
  metadata: texts,
  restart: object({ policy: text, max_retries: whole }).optional(),
  auto_destroy: flag,
  schedule: text,
  files: z.array(object({ guest_path: text, content: bytes, mode: whole }), "must be a list").default([]),
  dns: object({ nameservers: list, searches: list, options: list, hostname: text }).optional(),
  extra: z.record(z.string(), z.unknown(), "must be an object").optional(),
});

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a machine configuration from a file, in the shape that `hover machine status --json` prints
 * as `config`. Keys may be missing; unknown keys and wrong types are errors, reported together. The
 * server checks the values.
 *
 * @param isFly the text may be JSON itself, and has Fly's shape: what is not known goes to `extra`
 * @throws UsageError
 */
export function readConfigFile(path: string, isFly: boolean): MachineConfig {
  const text = isFly && path.trimStart().startsWith("{") ? path : undefined;
  const name = text === undefined ? path : "--machine-config";
  if (/\.toml$/.test(path))
    throw new UsageError(`${path} is of an app at Fly; hover takes the configuration of a machine as JSON.`);
  let value: unknown;
  try {
    // Drops null members.
    value = JSON.parse(text ?? readFileSync(path, "utf8"), (_key, each: unknown) => each ?? undefined);
  } catch (err) {
    throw new UsageError(`${name} cannot be read as JSON: ${err instanceof Error ? err.message : err}`);
  }
  if (!isFly) return parseConfig(value, name);
  const { known, extra } = separate(fromFly(value));
  return { ...parseConfig(known, name), extra };
}

/** Reads a duration of Fly's, which is in nanoseconds when it is a number, and the content of files. */
function fromFly(value: unknown): unknown {
  if (!isObject(value)) return value;
  const { stop_config: stop, files, ...rest } = value as Record<string, unknown>;
  return {
    ...rest,
    ...(isObject(stop) ? { stop_config: stopFromFly(stop) } : {}),
    ...(Array.isArray(files) ? { files: files.map(fileFromFly) } : {}),
  };
}

function stopFromFly(stop: object): object {
  const { timeout } = stop as { timeout?: unknown };
  return typeof timeout === "number" ? { ...stop, timeout: `${timeout / 1e6}ms` } : stop;
}

function fileFromFly(file: unknown): unknown {
  if (!isObject(file)) return file;
  const { raw_value: content, ...rest } = file as Record<string, unknown>;
  return content === undefined ? rest : { ...rest, content };
}

/** Moves members without a typed field to `extra`, in the same shape, lists by index. */
function separate(value: unknown): { known: unknown; extra: Record<string, unknown> | undefined } {
  const known = structuredClone(value);
  let extra: Record<string, unknown> | undefined;
  for (const issue of CONFIG.safeParse(value).error?.issues ?? []) {
    if (issue.code !== "unrecognized_keys") continue;
    extra ??= {};
    let from = known;
    let to: Record<PropertyKey, unknown> = extra;
    for (const [depth, part] of issue.path.entries()) {
      from = Object(from)[part];
      const next = typeof issue.path[depth + 1] === "number" ? listLike(from) : {};
      to[part] ??= next;
      to = to[part] as Record<PropertyKey, unknown>;
    }
    for (const key of issue.keys) {
      to[key] = Object(from)[key];
      delete Object(from)[key];
    }
  }
  return { known, extra };
}

/** A list as long as this one, whose entries are empty. */
function listLike(list: unknown): object[] {
  return Array.isArray(list) ? list.map(() => ({})) : [];
}

/** Reads a machine configuration from JSON. @throws UsageError that begins with its name */
export function parseConfig(value: unknown, name: string): MachineConfig {
  const { data, error } = CONFIG.safeParse(value);
  if (error) {
    const problems = error.issues.flatMap((issue) => {
      const keys = issue.code === "unrecognized_keys" ? issue.keys.map((key) => [key]) : [[]];
      return keys.map(
        (key) => `  - ${z.core.toDotPath([...issue.path, ...key]) || "the file"}: ${issue.message}`,
      );
    });
    throw new UsageError(`${name} is not a machine configuration:\n${problems.join("\n")}`);
  }
  const {
    image,
    env,
    metadata,
    guest,
    init,
    services,
    stop_config: stop,
    restart,
    dns,
    schedule,
    extra,
  } = data;
  return {
    ...MachineConfig.create(),
    ...{ image, env, metadata, schedule, extra, autoDestroy: data.auto_destroy },
    restart:
      restart && RestartConfig.fromPartial({ policy: restart.policy, maxRetries: restart.max_retries }),
    files: data.files.map(({ guest_path: guestPath, content, mode }) => ({ guestPath, content, mode })),
    dns: dns && DnsConfig.fromPartial(dns),
    guest: guest && { cpuKind: guest.cpu_kind, cpus: guest.cpus, memoryMb: guest.memory_mb },
    init: init && {
      tty: init.tty,
      ...{ exec: init.exec, entrypoint: init.entrypoint, cmd: init.cmd },
      ...{ user: init.user, workingDir: init.working_dir },
    },
    services: services.map(({ protocol, internal_port: internalPort }) => ({ protocol, internalPort })),
    stopConfig: stop && { signal: stop.signal, timeout: stop.timeout },
  };
}
