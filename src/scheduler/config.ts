import { hostname } from "node:os";
import { address, integer, optional, readEnv, showConfig, text } from "../lib/runtime/config.ts";

const spec = {
  /** Where to serve gRPC. */
  SCHEDULER_LISTEN: address("127.0.0.1:7071"),
  /** Region it holds auctions for; hosts of another are refused. */
  SCHEDULER_REGION: text(),
  /** Redis of the region: `redis://...`, `unix:/path` or `/path`. Shared by all replicas. */
  REDIS_URL: text(),
  /**
   * How long a reservation lives unless claimed. Between an auction and its claim lie milliseconds; the rest is for an api that
   * pauses or retries. Longer only keeps capacity from others after a crash.
   */
  SCHEDULER_RESERVATION_TTL_MS: integer(500, 300_000, 5_000),
  /** When an auction ends at the latest. Hosts answer in a few milliseconds; it is what one that does not may cost. */
  SCHEDULER_BID_WINDOW_MS: integer(5, 10_000, 150),
  /** How long calls may take to finish at shutdown. */
  SCHEDULER_GRACE_MS: integer(0, 600_000, 5_000),
  /** Where to serve metrics; unset: nowhere. */
  SCHEDULER_METRICS_LISTEN: optional(address()),
  /** Public key that tokens are verified with, PEM. */
  TOKEN_PUBLIC_KEY_FILE: text(),
};

/**
 * What the scheduler is told by its environment.
 *
 * @throws ConfigError with every problem
 */
export function readConfig(env: NodeJS.ProcessEnv) {
  const config = readEnv(env, spec);
  const redis = config.REDIS_URL;
  return {
    name: `${hostname()}:${process.pid}`,
    listen: config.SCHEDULER_LISTEN,
    region: config.SCHEDULER_REGION,
    redis: redis.startsWith("/") ? `unix:${redis}` : redis,
    ttlMs: config.SCHEDULER_RESERVATION_TTL_MS,
    windowMs: config.SCHEDULER_BID_WINDOW_MS,
    graceMs: config.SCHEDULER_GRACE_MS,
    metricsListen: config.SCHEDULER_METRICS_LISTEN,
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    shown: showConfig(spec, config),
  };
}
