import { resolve } from "node:path";
import { address, integer, list, optional, readEnv, showConfig, text } from "../lib/runtime/config.ts";
import { DEFAULT_LIMITS } from "./flatten/limits.ts";

const MIB = 1024 * 1024;

const spec = {
  /** Where to serve gRPC. */
  IMAGECACHE_LISTEN: address("127.0.0.1:7073"),
  /** Directory of its own for layers, root file systems and pins. One process at a time. */
  IMAGECACHE_DIR: text(),
  /** Disk space it may take; images in use count, and are kept even when they alone take more. */
  IMAGECACHE_BUDGET_MB: integer(16, 100_000_000, 20_480),
  /** What the layers of one image may unpack to, together. */
  IMAGECACHE_MAX_IMAGE_MB: integer(1, 100_000_000, DEFAULT_LIMITS.maxBytes / MIB),
  /** Credentials for registries, as `docker login` writes them; unset: all pulls are anonymous. */
  REGISTRY_AUTH_FILE: optional(text()),
  /** Registries, besides those on loopback, that speak plain http: `host` or `host:port`, separated by commas. */
  REGISTRY_INSECURE: list(undefined, []),
  /** How long calls may take to finish at shutdown. Pulls are broken off; what they downloaded stays. */
  IMAGECACHE_GRACE_MS: integer(0, 600_000, 5_000),
  /** Where to serve metrics; unset: nowhere. */
  IMAGECACHE_METRICS_LISTEN: optional(address()),
  /** Public key that tokens are verified with, PEM. */
  TOKEN_PUBLIC_KEY_FILE: text(),
};

/**
 * What the image cache is told by its environment.
 *
 * @throws ConfigError with every problem
 */
export function readConfig(env: NodeJS.ProcessEnv) {
  const config = readEnv(env, spec);
  return {
    listen: config.IMAGECACHE_LISTEN,
    // Paths in answers are absolute, wherever the caller stands.
    dir: resolve(config.IMAGECACHE_DIR),
    budgetBytes: config.IMAGECACHE_BUDGET_MB * MIB,
    limits: { ...DEFAULT_LIMITS, maxBytes: config.IMAGECACHE_MAX_IMAGE_MB * MIB },
    authFile: config.REGISTRY_AUTH_FILE,
    insecure: config.REGISTRY_INSECURE,
    graceMs: config.IMAGECACHE_GRACE_MS,
    metricsListen: config.IMAGECACHE_METRICS_LISTEN,
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    shown: showConfig(spec, config),
  };
}
