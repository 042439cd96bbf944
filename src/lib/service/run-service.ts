import { ConfigError, type Env } from "../config/config.ts";
import { flushTelemetry } from "../otel/tracing.ts";
import { Stack, untilSignal } from "../runtime/lifecycle.ts";
import { createLogger, type Facts, type Level, type Logger } from "../runtime/log.ts";
import { forbidCoreFiles, secureProcess } from "./secure-process.ts";

/** What every service's configuration has. */
export interface ServiceConfig {
  readonly logLevel: Level;
  /** What is in effect, for `--check-config`. */
  show(): string;
}

/**
 * Runs a service from its environment until SIGTERM or SIGINT, then closes what it opened. Its files are private, and it leaves no
 * core. With `--check-config` it only
 * prints the configuration. The exit code is 1 when the configuration is wrong or anything fails.
 *
 * @param name for the log, e.g. `api`
 * @param start opens everything on the stack; returns what the line "ready" says
 */
export async function runService<C extends ServiceConfig>(
  name: string,
  readConfig: (env: Env) => C,
  start: (config: C, stack: Stack) => Promise<Facts>,
): Promise<void> {
  secureProcess();
  const config = configOrExit(name, readConfig);
  if (!config) return;
  if (process.argv.includes("--check-config")) {
    process.stdout.write(`${config.show()}\n`);
    return;
  }
  const log = createLogger(name, { level: config.logLevel });
  process.on("uncaughtException", (error) => crash(log, error));
  const stopped = untilSignal();
  const stack = new Stack();
  stack.add("telemetry", () => flushTelemetry());
  const failed = (error: unknown): void => {
    log.error("the service failed", { error });
    process.exitCode = 1;
  };
  try {
    await forbidCoreFiles(process.env["PATH"]).catch((error: unknown) =>
      log.warn("a crash may write a core file, with secrets in it", { error }),
    );
    log.info("ready", await start(config, stack));
    log.info("stopping", { signal: await stopped });
  } catch (error) {
    // At once: what is closed then may fail as well, and says less.
    failed(error);
  }
  await stack.close().catch(failed);
}

/** Node would write all fields of an error, e.g. a row of the database or an address with its password. */
function crash(log: Logger, error: unknown): never {
  log.error("the service has crashed", { error });
  process.exit(1);
}

function configOrExit<C>(name: string, readConfig: (env: Env) => C): C | undefined {
  try {
    return readConfig(process.env);
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err;
    process.stderr.write(`${name}: ${err.message}\n`);
    process.exitCode = 1;
    return undefined;
  }
}
