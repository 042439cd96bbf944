import { hostname } from "node:os";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import { duration, type Env, readEnv, showConfig, text } from "../lib/config/config.ts";
import { edgeVariables, readEdge } from "../lib/config/edge-variables.ts";
import { common, LOG_LEVEL, TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE } from "../lib/config/variables.ts";

export const variables = {
  SCHEDULER_LISTEN: common.listen("127.0.0.1:7071"),
  SCHEDULER_REGION: text().describe("Region whose auctions it holds. Hosts of another are refused."),
  REDIS_URL: text()
    .meta({ kind: "URL or path" })
    .describe("Redis of the region, shared by all replicas: `redis://...`, `unix:/path` or `/path`."),
  SCHEDULER_RESERVATION_TTL: duration("500ms", "5m")
    .prefault("5s")
    .describe(
      "TTL of reservations. A claim follows an auction within milliseconds; the rest is for retries.",
    ),
  SCHEDULER_BID_WINDOW: duration("5ms", "10s")
    .prefault("150ms")
    .describe("When an auction ends at the latest. Most hosts answer within a few milliseconds."),
  SCHEDULER_GRACE: common.grace("5s"),
  SCHEDULER_METRICS_LISTEN: common.metricsListen(),
  SCHEDULER_AUDIT_DIR: common.auditDir("nowhere"),
  SCHEDULER_LOG_LEVEL: common.logLevel(),
  ...edgeVariables,
  ...{
    LOG_LEVEL,
    ...auditVariables,
    TOKEN_KEYS_DIR,
    TOKEN_REVOCATIONS_FILE,
  },
};

export type SchedulerConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(env: Env) {
  const values = readEnv(env, variables);
  const redis = values.REDIS_URL;
  return {
    name: `${hostname()}:${process.pid}`,
    listen: values.SCHEDULER_LISTEN,
    region: values.SCHEDULER_REGION,
    redis: redis.startsWith("/") ? `unix:${redis}` : redis,
    ttlMs: values.SCHEDULER_RESERVATION_TTL,
    windowMs: values.SCHEDULER_BID_WINDOW,
    graceMs: values.SCHEDULER_GRACE,
    metricsListen: values.SCHEDULER_METRICS_LISTEN,
    logLevel: values.SCHEDULER_LOG_LEVEL ?? values.LOG_LEVEL,
    keysDir: values.TOKEN_KEYS_DIR,
    audit: auditSettings(values, values.SCHEDULER_AUDIT_DIR),
    revocationsFile: values.TOKEN_REVOCATIONS_FILE,
    edge: readEdge(values),
    show: () => showConfig(variables, env),
  };
}
