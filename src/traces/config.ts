import { address, integer, readEnv, showConfig, text } from "../lib/runtime/config.ts";

const spec = {
  /** Where to listen for OTLP/HTTP and queries. */
  TRACES_LISTEN: address("127.0.0.1:4318"),
  /** Directory of the database. */
  TRACES_DIR: text(),
  /** Traces that are kept. */
  TRACES_KEEP: integer(10, 1_000_000, 2_000),
  /** Disk that they may take, in MiB. */
  TRACES_BUDGET_MB: integer(16, 65_536, 64),
  /** Public key that tokens are verified with, PEM. */
  TOKEN_PUBLIC_KEY_FILE: text(),
};

/** Of the budget, what the write-ahead log and the free pages of a large delete may take. */
const OVERHEAD_BYTES = 8 * 1024 * 1024;

/**
 * What the receiver is told by its environment.
 *
 * @throws ConfigError with every problem
 */
export function readConfig(env: NodeJS.ProcessEnv) {
  const config = readEnv(env, spec);
  return {
    listen: config.TRACES_LISTEN,
    dir: config.TRACES_DIR,
    bounds: {
      keep: config.TRACES_KEEP,
      budgetBytes: config.TRACES_BUDGET_MB * 1024 * 1024 - OVERHEAD_BYTES,
    },
    publicKeyFile: config.TOKEN_PUBLIC_KEY_FILE,
    shown: showConfig(spec, config),
  };
}
