import { join } from "node:path";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import {
  address,
  type Env,
  integer,
  list,
  parseAddress,
  parsed,
  readEnv,
  showConfig,
  text,
} from "../lib/config/config.ts";
import { edgeVariables, readEdge } from "../lib/config/edge-variables.ts";
import { withProxyNames } from "../lib/config/proxies.ts";
import {
  common,
  HTTP_PROXY,
  HTTPS_PROXY,
  LOG_LEVEL,
  NO_PROXY,
  REGISTRY_ALLOW_PRIVATE,
  REGISTRY_INSECURE,
  TOKEN_KEYS_DIR,
} from "../lib/config/variables.ts";
import { parseGrant } from "../lib/oci/auth/fleet-credentials.ts";
import { parseDomain } from "./apps/hostname.ts";
import type { SchedulerAddress } from "./regions/schedulers.ts";
import { ACTIONS, DEFAULT_RATES, parseRate, showRate } from "./shares/rates.ts";
import { DEFAULT_CALLS_AT_ONCE } from "./shares/turns/call-turns.ts";
import { DEFAULT_IN_PROGRESS_LIMITS } from "./shares/turns/calls-in-progress.ts";
import { DEFAULT_CREATE_LIMITS } from "./shares/turns/create-slots.ts";

const REGION = /^[a-z][a-z0-9-]{0,62}$/;

/** Everything that the api reads from its environment. */
export const variables = {
  API_LISTEN: common.listen("127.0.0.1:7070"),
  API_REST_LISTEN: address()
    .optional()
    .describe("Where to serve the REST API, as HTTP without TLS. Unset: nowhere."),
  API_REST_ORIGINS: list(text())
    .prefault("*")
    .describe(
      "Origins whose pages may read answers of the REST API (CORS), e.g. `https://console.example`; `*` for all. Calls need a token in any case, and cookies are not used.",
    ),
  API_REGION: text()
    .prefault("ord")
    .describe("Region that it serves. Machines go there whose create names no region."),
  API_STATE_DIR: text().describe("Folder of this api alone, for its table of hosts."),
  API_SCHEDULERS: list(parsed(schedulerEntry).meta({ kind: "region=host:port" }))
    .refine((entries) => entries.length > 0, {
      error: "must name at least one scheduler, e.g. ord=host:port",
    })
    .prefault("127.0.0.1:7071")
    .describe(
      "Schedulers of all regions that it places machines in. Several of a region are its replicas; one without a region is of `API_REGION`.",
    ),
  DATABASE_URL: text()
    .meta({ kind: "URL" })
    .describe(
      "Postgres: `postgres://user:password@host:port/name`, or `postgres:///name?host=/directory` for a unix socket.",
    ),
  API_DATABASE_CONNECTIONS: integer(2, 200).prefault(10).describe("Most connections to Postgres."),
  API_GRACE: common.grace("10s"),
  API_WARM_UP_CALLS: integer(0, 1_000_000)
    .prefault(5_000)
    .describe(
      "Calls of itself after it has started, so that its first starts are as fast as later ones. 0: none.",
    ),
  API_RATE_LIMITS: list(parsed(parseRate).meta({ kind: "action=rate:burst" }))
    .prefault(ACTIONS.map((action) => showRate(action, DEFAULT_RATES[action])).join(","))
    .describe(
      "Calls a second of an organisation, and how many at once, by action; each api counts its own. An action left out keeps its default.",
    ),
  API_CREATES_PER_ORG: integer(1, 100_000)
    .prefault(DEFAULT_CREATE_LIMITS.perOrg)
    .describe("Most creates of an organisation that are under way in this api."),
  API_CREATES: integer(1, 100_000)
    .prefault(DEFAULT_CREATE_LIMITS.total)
    .describe("Most creates that are under way in this api."),
  API_CALLS_PER_ORG: integer(1, 100_000)
    .prefault(DEFAULT_IN_PROGRESS_LIMITS.calls)
    .describe("Most calls of an organisation that are under way in this api."),
  API_CALLS_AT_ONCE_PER_ORG: integer(1, 100_000)
    .prefault(DEFAULT_CALLS_AT_ONCE)
    .describe(
      "Calls of an organisation that this api works on at a time while others call too. The rest wait, but no call holds up the next for more than 5 ms.",
    ),
  API_STREAMS_PER_ORG: integer(1, 100_000)
    .prefault(DEFAULT_IN_PROGRESS_LIMITS.streams)
    .describe("Most waits, logs and other streams of an organisation that are open in this api."),
  API_PROXY_DOMAINS: list(parsed(parseDomain).meta({ kind: "domain" }))
    .prefault("")
    .describe(
      "Domains of the fleet, as `PROXY_DOMAINS` of its proxies: `APP.DOMAIN` leads to an app, and no app can be given another name under them.",
    ),
  API_METRICS_LISTEN: common.metricsListen(),
  API_AUDIT_DIR: common.auditDir("`audit` in `API_STATE_DIR`"),
  API_LOG_LEVEL: common.logLevel(),
  ...edgeVariables,
  API_SEALING_KEY_DIR: text()
    .optional()
    .describe(
      "Folder of the keys that organisations' registry credentials are encrypted with, the same for all apis: `*.key`, 32 bytes in base64, the last by name for new ones. Made when it is not there. Unset: none can be stored.",
    ),
  REGISTRY_AUTH_FILE: text()
    .optional()
    .describe(
      "Credentials of the fleet, in the format of Docker's `config.json`, for those whom `REGISTRY_AUTH_ALLOW` allows them.",
    ),
  REGISTRY_AUTH_ALLOW: list(parsed(parseGrant).meta({ kind: "org=registry/path" }))
    .prefault("")
    .describe(
      "Which organisations may pull what with `REGISTRY_AUTH_FILE`: `acme=registry.example/team` is that repository and all below it; `*` stands for all organisations or repositories. Unset: nobody.",
    ),
  ...{ LOG_LEVEL, ...auditVariables, TOKEN_KEYS_DIR },
  ...{ REGISTRY_INSECURE, REGISTRY_ALLOW_PRIVATE, HTTPS_PROXY, HTTP_PROXY, NO_PROXY },
};

/** The configuration of the api. */
export type ApiConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(given: Env) {
  const env = withProxyNames(given);
  const values = readEnv(env, variables);
  return {
    listen: values.API_LISTEN,
    rest:
      values.API_REST_LISTEN === undefined
        ? undefined
        : { listen: values.API_REST_LISTEN, origins: values.API_REST_ORIGINS },
    region: values.API_REGION,
    stateDir: values.API_STATE_DIR,
    schedulers: values.API_SCHEDULERS.map(
      ({ region, address }): SchedulerAddress => ({ region: region ?? values.API_REGION, address }),
    ),
    databaseUrl: values.DATABASE_URL,
    databaseConnections: values.API_DATABASE_CONNECTIONS,
    rates: { ...DEFAULT_RATES, ...Object.fromEntries(values.API_RATE_LIMITS) },
    createLimits: { perOrg: values.API_CREATES_PER_ORG, total: values.API_CREATES },
    inProgressLimits: { calls: values.API_CALLS_PER_ORG, streams: values.API_STREAMS_PER_ORG },
    callsAtOnce: values.API_CALLS_AT_ONCE_PER_ORG,
    proxyDomains: values.API_PROXY_DOMAINS,
    graceMs: values.API_GRACE,
    warmUpCalls: values.API_WARM_UP_CALLS,
    metricsListen: values.API_METRICS_LISTEN,
    logLevel: values.API_LOG_LEVEL ?? values.LOG_LEVEL,
    keysDir: values.TOKEN_KEYS_DIR,
    edge: readEdge(values),
    sealingKeyDir: values.API_SEALING_KEY_DIR,
    registries: {
      authFile: values.REGISTRY_AUTH_FILE,
      authAllow: values.REGISTRY_AUTH_ALLOW,
      insecure: values.REGISTRY_INSECURE,
      allowPrivate: values.REGISTRY_ALLOW_PRIVATE,
      proxies: { https: values.HTTPS_PROXY, http: values.HTTP_PROXY, except: values.NO_PROXY },
    },
    audit: auditSettings(values, values.API_AUDIT_DIR ?? join(values.API_STATE_DIR, "audit")),
    show: () => showConfig(variables, env),
  };
}

/** `region=host:port`, or `host:port` alone for the api's own region. */
function schedulerEntry(raw: string): { region: string | undefined; address: string } {
  const equals = raw.indexOf("=");
  const region = equals < 0 ? undefined : raw.slice(0, equals);
  if (region !== undefined && !REGION.test(region))
    throw new Error(`must name regions like ord=host:port, not "${raw}"`);
  return { region, address: parseAddress(raw.slice(equals + 1)) };
}
