import { address, integer, list, optional, readEnv, showConfig, text } from "../lib/config.ts";

const spec = {
  /** Where to serve gRPC. */
  API_LISTEN: address("127.0.0.1:7070"),
  /** The region it serves, the only one it places machines in. */
  API_REGION: text("ord"),
  /** Folder of this api alone: its table of hosts. */
  API_STATE_DIR: text(),
  /** The region's scheduler. */
  API_SCHEDULER: address("127.0.0.1:7071"),
  /** Postgres: `postgres://user:password@host:port/name`, or `postgres:///name?host=/directory` for a unix socket. */
  DATABASE_URL: text(),
  /** Connections to Postgres, at most. */
  API_DATABASE_CONNECTIONS: integer(2, 200, 10),
  /** How long calls may take to finish at shutdown; creates that take longer are gone on with by another api, or the next. */
  API_GRACE_MS: integer(0, 600_000, 10_000),
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
    schedulerAddress: config.API_SCHEDULER,
    databaseUrl: config.DATABASE_URL,
    databaseConnections: config.API_DATABASE_CONNECTIONS,
    graceMs: config.API_GRACE_MS,
    metricsListen: config.API_METRICS_LISTEN,
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    signingKeyFile: config.TOKEN_SIGNING_KEY_FILE,
    registryAuthFile: config.REGISTRY_AUTH_FILE,
    registryInsecure: config.REGISTRY_INSECURE,
    shown: showConfig(spec, config),
  };
}
