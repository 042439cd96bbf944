import {
  address,
  integer,
  list,
  optional,
  type Reader,
  readEnv,
  showConfig,
  text,
} from "../lib/runtime/config.ts";
import type { SchedulerAddress } from "./regions/schedulers.ts";

/** A replica of a region's scheduler: `region=host:port`, or `host:port` alone for the api's own region. */
const scheduler: Reader<string> = {
  parse(raw) {
    const equals = raw.indexOf("=");
    const region = raw.slice(0, Math.max(0, equals));
    if (equals >= 0 && !REGION.test(region)) {
      throw new Error(`must name regions like ord=host:port, not "${raw}"`);
    }
    address().parse(raw.slice(equals + 1));
    return raw;
  },
};

/** A list without anything in it is a mistake: nothing could ever be created. */
function schedulerList(fallback: readonly string[]): Reader<readonly string[]> {
  const entries = list(scheduler, fallback);
  return {
    ...entries,
    parse(raw) {
      const parsed = entries.parse(raw);
      if (parsed.length === 0) throw new Error("must name at least one scheduler, e.g. ord=host:port");
      return parsed;
    },
  };
}

const REGION = /^[a-z][a-z0-9-]{0,62}$/;

const spec = {
  /** Where to serve gRPC. */
  API_LISTEN: address("127.0.0.1:7070"),
  /** The region it serves: where machines go whose create names no region. */
  API_REGION: text("ord"),
  /** Folder of this api alone: its table of hosts. */
  API_STATE_DIR: text(),
  /** The schedulers of all regions that it places machines in, as `region=host:port`; several of a region are its replicas. */
  API_SCHEDULERS: schedulerList(["127.0.0.1:7071"]),
  /** Postgres: `postgres://user:password@host:port/name`, or `postgres:///name?host=/directory` for a unix socket. */
  DATABASE_URL: text(),
  /** Connections to Postgres, at most. */
  API_DATABASE_CONNECTIONS: integer(2, 200, 10),
  /** How long calls may take to finish at shutdown; creates that take longer are gone on with by another api, or the next. */
  API_GRACE_MS: integer(0, 600_000, 10_000),
  /** Calls of itself after it has started, so that its first starts are as fast as later ones; 0: none. */
  API_WARM_UP_CALLS: integer(0, 1_000_000, 5_000),
  /** Where to serve metrics; unset: nowhere. */
  API_METRICS_LISTEN: optional(address()),
  /** Public key that tokens are verified with, PEM. */
  TOKEN_PUBLIC_KEY_FILE: text(),
  /** Private key, PEM: for the tokens with which it calls other services, and for CreateToken. */
  TOKEN_SIGNING_KEY_FILE: text(),
  /** Docker `config.json` with the credentials of registries; unset: anonymous. */
  REGISTRY_AUTH_FILE: optional(text()),
  /** Registries besides those on loopback that speak plain HTTP, as `host` or `host:port`. */
  REGISTRY_INSECURE: list(text(), []),
};

/**
 * What the api is told by its environment.
 *
 * @throws ConfigError with every problem
 */
export function readConfig(env: NodeJS.ProcessEnv) {
  const config = readEnv(env, spec);
  return {
    listen: config.API_LISTEN,
    region: config.API_REGION,
    stateDir: config.API_STATE_DIR,
    schedulers: config.API_SCHEDULERS.map((entry) => schedulerAddress(entry, config.API_REGION)),
    databaseUrl: config.DATABASE_URL,
    databaseConnections: config.API_DATABASE_CONNECTIONS,
    graceMs: config.API_GRACE_MS,
    warmUpCalls: config.API_WARM_UP_CALLS,
    metricsListen: config.API_METRICS_LISTEN,
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    signingKeyFile: config.TOKEN_SIGNING_KEY_FILE,
    registryAuthFile: config.REGISTRY_AUTH_FILE,
    registryInsecure: config.REGISTRY_INSECURE,
    shown: showConfig(spec, config),
  };
}

function schedulerAddress(entry: string, own: string): SchedulerAddress {
  const equals = entry.indexOf("=");
  return { region: equals < 0 ? own : entry.slice(0, equals), address: entry.slice(equals + 1) };
}
