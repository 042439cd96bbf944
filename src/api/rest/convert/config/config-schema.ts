import { z } from "zod";
import { parseDuration } from "../duration.ts";
import {
  duration,
  flag,
  integer,
  item,
  list,
  mapOf,
  needed,
  number,
  object,
  oneOf,
  seconds,
  signal,
  strictFlag,
  text,
  textMap,
  texts,
} from "../fields.ts";

/**
 * The configuration of a machine as Fly publishes it. Members that Windhover does not act on are
 * checked and kept; members that are not listed are kept as they are.
 */

/** Texts of `persist_rootfs` by the numbers of Fly's Go client. */
const PERSIST = ["none", "never", "restart", "always"] as const;
const MAX_PORT = 65_535;
/** Largest size: an int32 in the contract. */
const MAX_INT = 2 ** 31 - 1;

const port = () => integer(0, MAX_PORT);
const size = () => integer(0, MAX_INT);

const headers = () => list(item({ name: text(), values: texts() }));

const check = {
  type: text("`tcp` or `http`."),
  port: port(),
  interval: duration(),
  timeout: duration(),
  grace_period: duration(),
  method: text(),
  path: text(),
  protocol: text(),
  tls_server_name: text(),
  tls_skip_verify: flag(),
  headers: headers(),
  kind: text("`informational` or `readiness`."),
  status: integer(0, MAX_INT),
  body: text("Text that the body must contain."),
};

const replayCache = {
  path_prefix: text(),
  ttl_seconds: integer(),
  type: text(),
  name: text(),
  allow_bypass: flag(),
};

const servicePort = {
  port: port(),
  start_port: port(),
  end_port: port(),
  handlers: texts(),
  force_https: flag(),
  http_options: object({
    compress: flag(),
    h2_backend: flag(),
    idle_timeout: seconds(),
    headers_read_timeout: seconds(),
    response: object({ headers: object({}), pristine: flag() }),
    replay_cache: list(item(replayCache)),
  }),
  tls_options: object({ alpn: texts(), versions: texts(), default_self_signed: flag() }),
  proxy_proto_options: object({ version: text() }),
};

const service = {
  protocol: oneOf(["tcp", "udp"]),
  internal_port: port(),
  ports: list(item(servicePort)),
  autostart: strictFlag(),
  autostop: autostop(),
  min_machines_running: size(),
  concurrency: object({ type: text(), soft_limit: size(), hard_limit: size() }),
  checks: list(item(check)),
  idle_timeout: duration(),
  wake_timeout: duration(),
  force_instance_key: text(),
  force_instance_description: text(),
};

export const guestShape = {
  cpu_kind: oneOf(["shared", "performance"]),
  cpus: size(),
  memory_mb: size(),
  max_memory_mb: size(),
  gpu_kind: text(),
  gpus: size(),
  host_dedication_id: text(),
  kernel_args: texts(),
  persist_rootfs: persist(),
};

const envFrom = () => list(item({ env_var: text(), field_ref: text() }));

/** Names of the members that override what the image runs, in `init` and in an entry of `processes`. */
export const PROGRAM_MEMBERS = ["exec", "entrypoint", "cmd", "user"] as const;

const program = { exec: texts(), entrypoint: texts(), cmd: texts(), user: text() };

const process = {
  ...program,
  env: textMap(),
  env_from: envFrom(),
  secrets: list(item({ env_var: text(), name: text() })),
  ignore_app_secrets: flag(),
};

const file = {
  guest_path: text("Absolute path."),
  raw_value: base64(),
  secret_name: text(),
  image_config: text(),
  mode: fileMode(),
};

const dns = {
  skip_registration: flag(),
  nameservers: texts(),
  searches: texts(),
  options: list(item({ name: text(), value: text() })),
  dns_forward_rules: list(item({ basename: text(), addr: text() })),
  hostname: text(),
  hostname_fqdn: text(),
};

const restart = {
  policy: restartPolicy(),
  max_retries: size(),
  gpu_bid_price: number(),
};

const configShape = {
  image: needed(text("OCI image reference.")),
  guest: object(guestShape),
  size: text("Deprecated: name of a preset, e.g. `shared-cpu-2x`, instead of `guest`."),
  env: textMap(),
  init: object({ ...program, working_dir: text(), tty: flag(), swap_size_mb: size(), kernel_args: texts() }),
  processes: list(item(process)),
  containers: list(z.unknown()),
  volumes: list(z.unknown()),
  mounts: list(z.unknown()),
  services: list(item(service)),
  checks: mapOf(item(check)),
  snapshot: oneOf(["off", "ready"]),
  max_lifetime: duration(),
  max_busy: duration(),
  restart: object(restart),
  auto_destroy: flag(),
  schedule: oneOf(["hourly", "daily", "weekly", "monthly"]),
  standbys: texts(),
  stop_config: object({ signal: signal(), timeout: duration() }),
  files: list(item(file)),
  metadata: textMap(),
  metrics: object({ port: port(), path: text(), https: flag() }),
  dns: object(dns),
  statics: list(
    item({ guest_path: text(), url_prefix: text(), tigris_bucket: text(), index_document: text() }),
  ),
  rootfs: object({ persist: persist(), size_gb: size() }),
  cache_drive: object({ size_mb: size() }),
  spot: object({ max_price_fraction: number() }),
  disable_machine_autostart: flag(),
};

/** The schema of a configuration. Its output has the types of known members, and no null. */
export const configSchema = object(configShape);
export type ConfigJson = NonNullable<z.output<typeof configSchema>>;
export type ServiceJson = NonNullable<ConfigJson["services"]>[number];
export type PortJson = NonNullable<ServiceJson["ports"]>[number];
export type CheckJson = NonNullable<ServiceJson["checks"]>[number];

/** Reads `off`, `stop`, `suspend` or a boolean: `off` as false, `stop` as true. */
function autostop() {
  const error = 'must be true, false, "off", "stop" or "suspend"';
  const values = z.union([z.boolean(), z.literal("suspend")], { error }).optional();
  return z
    .preprocess((raw) => {
      if (raw === null || raw === "") return undefined;
      if (raw === "off" || raw === "false") return false;
      return raw === "stop" || raw === "true" ? true : raw;
    }, values)
    .meta({ anyOf: [{ type: "boolean" }, { type: "string", enum: ["off", "stop", "suspend"] }] })
    .optional();
}

/** Reads a name of {@link PERSIST} or its number, as the name. */
function persist() {
  const error = "must be one of never, restart, always";
  return z
    .preprocess((raw) => {
      const name = typeof raw === "number" ? PERSIST[raw] : raw;
      return name === null || name === "" || name === PERSIST[0] ? undefined : (name ?? "unknown");
    }, z.enum(["never", "restart", "always"], { error }).optional())
    .optional();
}

function restartPolicy() {
  const values = z.enum(["no", "on-failure", "always"], {
    error: ({ input }) =>
      input === "spot-price"
        ? "spot-price is not supported: there are no spot machines"
        : "must be one of no, on-failure, always",
  });
  return z.preprocess((raw) => (raw === null || raw === "" ? undefined : raw), values.optional()).optional();
}

/** Reads base64 of both alphabets, with or without padding, as standard base64 with padding. */
function base64() {
  const error = "must be base64";
  const schema = z.string({ error }).refine((value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value), { error });
  return z
    .preprocess((raw) => {
      if (raw === null) return undefined;
      if (typeof raw !== "string") return raw;
      const plain = raw.replace(/\s/g, "");
      const isBase64 = /^[A-Za-z0-9+/_-]*={0,2}$/.test(plain) && plain.replace(/=+$/, "").length % 4 !== 1;
      return isBase64 ? Buffer.from(plain, "base64").toString("base64") : "not base64!";
    }, schema.optional())
    .meta({ contentEncoding: "base64" })
    .optional();
}

/** Reads permission bits: a number, or octal text as `chmod` takes it. */
function fileMode() {
  const error = "must be permission bits, 0 to 4095, or text such as 0644";
  return z
    .preprocess((raw) => {
      if (raw === null || raw === "") return undefined;
      return typeof raw === "string" && /^0o?[0-7]+$/.test(raw)
        ? Number.parseInt(raw.replace("o", ""), 8)
        : typeof raw === "string" && /^\d+$/.test(raw)
          ? Number(raw)
          : raw;
    }, z.int({ error }).min(0, { error }).max(0o7777, { error }).optional())
    .optional();
}

/** Returns the milliseconds of a duration; undefined for none and for zero, which mean the default. */
export function durationMs(value: string | undefined): number | undefined {
  return value === undefined ? undefined : parseDuration(value) || undefined;
}

/** Returns the milliseconds of a duration whose zero means something else than none. */
export function explicitMs(value: string | undefined): number | undefined {
  return value === undefined ? undefined : parseDuration(value);
}
