import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import {
  DnsConfig,
  MachineConfig,
  RestartConfig,
  ServiceConfig,
} from "../../../../gen/windhover/machines/v1/machine.ts";
import { UsageError } from "../../../session/faults/usage-error.ts";
import { refuseUnbuilt } from "./fly-members.ts";
import { fromFly, serviceFromFly } from "./from-fly.ts";
import { flag, list, object, text, textList, texts, time, whole } from "./schema-fields.ts";
import { CHECKS, SERVICE, serviceFromFile } from "./service-schema.ts";

const bytes = z
  .base64("must be base64")
  .default("")
  .transform((encoded) => Buffer.from(encoded, "base64"));

const CONFIG = object({
  image: text,
  guest: object({ cpu_kind: text, cpus: whole, memory_mb: whole }).optional(),
  env: texts,
  init: object({
    exec: textList,
    entrypoint: textList,
    cmd: textList,
    user: text,
    working_dir: text,
    tty: flag,
  }).optional(),
  services: list(SERVICE),
  stop_config: object({ signal: text, timeout: time }).optional(),
  metadata: texts,
  restart: object({ policy: text, max_retries: whole }).optional(),
  auto_destroy: flag,
  schedule: text,
  files: list(object({ guest_path: text, content: bytes, mode: whole })),
  dns: object({ nameservers: textList, searches: textList, options: textList, hostname: text }).optional(),
  checks: CHECKS,
  snapshot: text,
  max_lifetime: time,
  max_busy: time,
  extra: z.record(z.string(), z.unknown(), "must be an object").optional(),
});

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
  if (extra) refuseUnbuilt(extra, name);
  return { ...parseConfig(known, name), extra };
}

/**
 * Reads a service from what `extra` keeps of it in Fly's shape, as was done before services had these
 * members themselves. Undefined when the service has any already, or when it cannot be read.
 */
export function serviceFromExtra(
  service: ServiceConfig,
  kept: Readonly<Record<string, unknown>>,
): { readonly service: ServiceConfig; readonly rest: Readonly<Record<string, unknown>> } | undefined {
  const { protocol, internalPort } = service;
  const bare = ServiceConfig.fromPartial({ protocol, internalPort });
  const isBare = isDeepStrictEqual(service, bare);
  if (!isBare || Object.keys(kept).length === 0) return undefined;
  const own = { ...(serviceFromFly(kept) as object), protocol, internal_port: internalPort };
  const { known, extra } = separate({ services: [own] });
  const [read] = CONFIG.safeParse(known).data?.services ?? [];
  const [rest] = (extra?.["services"] as Readonly<Record<string, unknown>>[] | undefined) ?? [{}];
  return read && { service: serviceFromFile(read), rest: rest ?? {} };
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
    services: services.map(serviceFromFile),
    ...{ checks: data.checks, snapshot: data.snapshot },
    ...{ maxLifetime: data.max_lifetime, maxBusy: data.max_busy },
    stopConfig: stop && { signal: stop.signal, timeout: stop.timeout },
  };
}
