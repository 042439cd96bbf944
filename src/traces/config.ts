import { join } from "node:path";
import { auditSettings } from "../lib/audit/audit-log.ts";
import { auditVariables } from "../lib/config/audit-variables.ts";
import { address, type Env, integer, readEnv, showConfig, text } from "../lib/config/config.ts";
import { common, LOG_LEVEL, TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE } from "../lib/config/variables.ts";

/** Everything that the trace receiver reads from its environment. */
export const variables = {
  TRACES_LISTEN: address().prefault("127.0.0.1:4318").describe("Where to serve OTLP/HTTP and queries."),
  TRACES_GRPC_LISTEN: address().prefault("127.0.0.1:4317").describe("Where to serve OTLP/gRPC."),
  TRACES_DIR: text().describe("Folder of the database."),
  TRACES_KEEP: integer(10, 1_000_000).prefault(100_000).describe("Traces that are kept."),
  TRACES_BUDGET_MB: integer(16, 65_536)
    .prefault(512)
    .describe("Disk that they may take, in MiB. When it is full, fewer are kept."),
  TRACES_AUDIT_DIR: common.auditDir("`audit` in `TRACES_DIR`"),
  TRACES_LOG_LEVEL: common.logLevel(),
  ...{ LOG_LEVEL, ...auditVariables },
  ...{ TOKEN_KEYS_DIR, TOKEN_REVOCATIONS_FILE },
};

/** What the write-ahead log and the free pages of a large delete may take of the budget. */
const OVERHEAD_BYTES = 8 * 1024 * 1024;

/** The configuration of the trace receiver. */
export type TracesConfig = ReturnType<typeof readConfig>;

/** Reads the configuration. @throws ConfigError with every problem */
export function readConfig(env: Env) {
  const values = readEnv(env, variables);
  return {
    listen: values.TRACES_LISTEN,
    grpcListen: values.TRACES_GRPC_LISTEN,
    dir: values.TRACES_DIR,
    bounds: {
      keep: values.TRACES_KEEP,
      budgetBytes: values.TRACES_BUDGET_MB * 1024 * 1024 - OVERHEAD_BYTES,
    },
    logLevel: values.TRACES_LOG_LEVEL ?? values.LOG_LEVEL,
    audit: auditSettings(values, values.TRACES_AUDIT_DIR ?? join(values.TRACES_DIR, "audit")),
    keysDir: values.TOKEN_KEYS_DIR,
    revocationsFile: values.TOKEN_REVOCATIONS_FILE,
    show: () => showConfig(variables, env),
  };
}
