import { resolve } from "node:path";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import { duration, type Env, integer, readEnv, showConfig, text } from "../lib/config/config.ts";
import { edgeVariables, readEdge } from "../lib/config/edge-variables.ts";
import { withProxyNames } from "../lib/config/proxies.ts";
import {
  common,
  HTTP_PROXY,
  HTTPS_PROXY,
  IMAGECACHE_SOCKET,
  LOG_LEVEL,
  NO_PROXY,
  REGISTRY_ALLOW_PRIVATE,
  REGISTRY_INSECURE,
  TOKEN_KEYS_DIR,
  TOKEN_REVOCATIONS_FILE,
} from "../lib/config/variables.ts";
import { DEFAULT_LIMITS } from "./flatten/limits.ts";

const MIB = 1024 * 1024;

export const variables = {
  IMAGECACHE_LISTEN: common.listen(IMAGECACHE_SOCKET),
  IMAGECACHE_DIR: text().describe("Folder for layers, images and pins, used by one process at a time."),
  IMAGECACHE_BUDGET_MB: integer(16, 100_000_000)
    .prefault(20_480)
    .describe("Disk it may take, in MiB. Images in use count, and are kept even when they alone take more."),
  IMAGECACHE_ORG_SHARE: integer(1, 100)
    .prefault(50)
    .describe(
      "Most of the budget that the images of one organisation's machines may take, and the layers that it pulls at a time, in percent.",
    ),
  IMAGECACHE_MAX_IMAGE_MB: integer(1, 100_000_000)
    .prefault(DEFAULT_LIMITS.maxBytes / MIB)
    .describe("Most that the layers of one image may unpack to together, in MiB."),
  IMAGECACHE_BUILD_MEMORY_MB: integer(256, 1_000_000)
    .prefault(768)
    .describe("Memory that each of the two processes which build an image may take, in MiB."),
  IMAGECACHE_BUILD_TIMEOUT: duration("1s", "24h")
    .prefault("15m")
    .describe("Longest that building an image may take."),
  IMAGECACHE_GRACE: common.grace("5s"),
  IMAGECACHE_METRICS_LISTEN: common.metricsListen(),
  IMAGECACHE_AUDIT_DIR: common.auditDir("nowhere"),
  IMAGECACHE_LOG_LEVEL: common.logLevel(),
  ...edgeVariables,
  IMAGECACHE_DOWNLOADS: integer(2, 1_000)
    .prefault(12)
    .describe("Layers downloaded at a time. One registry gets at most half of them, one organisation three."),
  IMAGECACHE_MIN_RATE_KB: integer(0, 1_000_000)
    .prefault(10)
    .describe(
      "A layer that comes at fewer KiB a second is given up, so that it does not keep others waiting. 0: none.",
    ),
  IMAGECACHE_MIN_RATE_WINDOW: duration("1s", "10m")
    .prefault("30s")
    .describe("Over how long that rate is measured, again and again."),
  ...{
    LOG_LEVEL,
    ...auditVariables,
    TOKEN_KEYS_DIR,
    TOKEN_REVOCATIONS_FILE,
  },
  ...{ REGISTRY_INSECURE, REGISTRY_ALLOW_PRIVATE, HTTPS_PROXY, HTTP_PROXY, NO_PROXY },
};

export type ImageCacheConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(given: Env) {
  const env = withProxyNames(given);
  const values = readEnv(env, variables);
  return {
    listen: values.IMAGECACHE_LISTEN,
    // Paths in answers are absolute, wherever the caller stands.
    dir: resolve(values.IMAGECACHE_DIR),
    budgetBytes: values.IMAGECACHE_BUDGET_MB * MIB,
    orgBudgetBytes: Math.floor((values.IMAGECACHE_BUDGET_MB * MIB * values.IMAGECACHE_ORG_SHARE) / 100),
    limits: { ...DEFAULT_LIMITS, maxBytes: values.IMAGECACHE_MAX_IMAGE_MB * MIB },
    registries: {
      insecure: values.REGISTRY_INSECURE,
      allowPrivate: values.REGISTRY_ALLOW_PRIVATE,
      proxies: { https: values.HTTPS_PROXY, http: values.HTTP_PROXY, except: values.NO_PROXY },
    },
    downloads: {
      places: values.IMAGECACHE_DOWNLOADS,
      minBytesPerSecond: values.IMAGECACHE_MIN_RATE_KB * 1024,
      windowMs: values.IMAGECACHE_MIN_RATE_WINDOW,
    },
    buildMemoryBytes: values.IMAGECACHE_BUILD_MEMORY_MB * MIB,
    buildTimeoutMs: values.IMAGECACHE_BUILD_TIMEOUT,
    graceMs: values.IMAGECACHE_GRACE,
    metricsListen: values.IMAGECACHE_METRICS_LISTEN,
    logLevel: values.IMAGECACHE_LOG_LEVEL ?? values.LOG_LEVEL,
    keysDir: values.TOKEN_KEYS_DIR,
    audit: auditSettings(values, values.IMAGECACHE_AUDIT_DIR),
    revocationsFile: values.TOKEN_REVOCATIONS_FILE,
    edge: readEdge(values),
    show: () => showConfig(variables, env),
  };
}
