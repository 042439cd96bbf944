import { hostname } from "node:os";
import { join } from "node:path";
import {
  address,
  duration,
  type Env,
  flag,
  integer,
  list,
  parsed,
  readEnv,
  showConfig,
  text,
} from "../lib/config/config.ts";
import { common, LOG_LEVEL, TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE } from "../lib/config/variables.ts";

const MIB = 1024 * 1024;
const MAX_TCP_PORTS = 1_000;

export const variables = {
  PROXY_LISTEN: address()
    .prefault("127.0.0.1:8080")
    .describe("Where to take connections without TLS: port 80 of services, whatever its own number."),
  PROXY_TLS_LISTEN: address()
    .prefault("127.0.0.1:8443")
    .describe(
      "Where to take connections with TLS, when `PROXY_CERTIFICATES` is set: port 443 of services, whatever its own number.",
    ),
  PROXY_CERTIFICATES: text()
    .optional()
    .meta({ kind: "folder" })
    .describe(
      "Certificates: `NAME.crt` (PEM, with its chain) and `NAME.key` each; `default` is for host names without one, where a service allows it. Changes count within two seconds. Unset: no TLS.",
    ),
  PROXY_TCP_PORTS: parsed(parseRange)
    .optional()
    .meta({ kind: "first-last" })
    .describe(
      "Ports to listen at when services name them, at most 1,000: each is one app's, unless its service has the handlers `http` or `tls`. Unset: none.",
    ),
  PROXY_TCP_HOST: text().prefault("127.0.0.1").describe("Address that those ports are listened at."),
  PROXY_ID: parsed(parseId)
    .optional()
    .meta({ defaultText: "region and name of the box" })
    .describe("Its name at hosts: unique among the proxies of the fleet, and kept across restarts."),
  PROXY_REGION: text().describe("Region of its own: its machines come first."),
  PROXY_APIS: list(address())
    .refine((each) => each.length > 0, { error: "must name at least one api, e.g. host:port" })
    .describe("Apis that tell the routes, asked in turn."),
  PROXY_STATE_DIR: text().describe("Folder of this proxy alone, for its table of routes."),
  PROXY_DOMAINS: list(parsed(parseDomain).meta({ kind: "domain" }))
    .prefault("")
    .describe("Domains below which each app has its name, as `APP.DOMAIN`, besides `localhost`."),
  PROXY_HTTPS_PORT: integer(1, 65_535)
    .optional()
    .meta({ defaultText: "that of PROXY_TLS_LISTEN" })
    .describe("Port that redirects to https name."),
  PROXY_ACCESS_LOG: flag().prefault("true").describe("Whether each request gets a line in the log."),
  PROXY_MAX_BODY_MB: integer(0, 1_000_000).prefault(0).describe("Largest body of a request, in MiB. 0: any."),
  PROXY_KEEP_MB: integer(1, 100_000)
    .prefault(64)
    .describe("Memory in which bodies are kept for another attempt, all together, in MiB."),
  PROXY_CONNECTIONS: integer(64, 1_000_000).prefault(16_384).describe("Most connections of each listener."),
  PROXY_CONNECTIONS_PER_ADDRESS: integer(64, 1_000_000)
    .prefault(4_096)
    .describe("The same for one address. Behind another proxy all clients have the same one."),
  PROXY_GRACE: duration("0s", "10m")
    .prefault("5s")
    .describe("How long requests may take to finish at shutdown."),
  PROXY_METRICS_LISTEN: common.metricsListen(),
  PROXY_LOG_LEVEL: common.logLevel(),
  ...{ LOG_LEVEL, TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE },
};

export type ProxyConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(env: Env) {
  const values = readEnv(env, variables);
  const [total, perAddress] = [values.PROXY_CONNECTIONS, values.PROXY_CONNECTIONS_PER_ADDRESS];
  return {
    listen: values.PROXY_LISTEN,
    tlsListen: values.PROXY_TLS_LISTEN,
    tcpPorts: values.PROXY_TCP_PORTS,
    id: values.PROXY_ID ?? defaultId(values.PROXY_REGION),
    region: values.PROXY_REGION,
    apis: values.PROXY_APIS,
    routesFile: join(values.PROXY_STATE_DIR, "routes.json"),
    domains: ["localhost", ...values.PROXY_DOMAINS],
    dataPlane: {
      region: values.PROXY_REGION,
      certificates: values.PROXY_CERTIFICATES,
      tcpHost: values.PROXY_TCP_HOST,
      httpsPort: values.PROXY_HTTPS_PORT ?? portOf(values.PROXY_TLS_LISTEN),
      accessLog: values.PROXY_ACCESS_LOG,
      maxBodyBytes:
        values.PROXY_MAX_BODY_MB === 0 ? Number.POSITIVE_INFINITY : values.PROXY_MAX_BODY_MB * MIB,
      keepBytes: values.PROXY_KEEP_MB * MIB,
      // Nobody proves who they are to a proxy.
      connections: { total, perAddress, newTotal: total, newPerAddress: perAddress },
    },
    graceMs: values.PROXY_GRACE,
    metricsListen: values.PROXY_METRICS_LISTEN,
    logLevel: values.PROXY_LOG_LEVEL ?? values.LOG_LEVEL,
    keysDir: values.TOKEN_KEYS_DIR,
    revocationsFile: values.TOKEN_REVOCATIONS_FILE,
    show: () => showConfig(variables, env),
  };
}

function portOf(listen: string): number {
  const port = Number(/:(\d+)$/.exec(listen)?.[1] ?? 0);
  return port === 0 ? 443 : port;
}

function defaultId(region: string): string {
  const plain = `${region}-${hostname()}`.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  return plain.slice(0, 63);
}

function parseId(raw: string): string {
  if (!/^[a-z0-9-]{1,63}$/.test(raw)) throw new Error(`must be 1 to 63 of a-z, 0-9 and -, not "${raw}"`);
  return raw;
}

function parseDomain(raw: string): string {
  const domain = raw.toLowerCase().replace(/\.$/, "");
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(domain)) throw new Error(`must be domains, not "${raw}"`);
  return domain;
}

function parseRange(raw: string): { readonly first: number; readonly last: number } {
  const [, from, to] = /^(\d{1,5})-(\d{1,5})$/.exec(raw) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (!(first >= 1 && last <= 65_535 && first <= last && last - first < MAX_TCP_PORTS))
    throw new Error(`must be FIRST-LAST, at most ${MAX_TCP_PORTS} ports, not "${raw}"`);
  return { first, last };
}
