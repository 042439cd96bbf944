/**
 * The trace receiver of a local fleet: takes OTLP/HTTP from the services and from `hover`, keeps the last traces on disk, and answers
 * `hover trace`. Everything it has may be lost; nothing waits for it. Production sends OTLP to a collector instead.
 */
import { readFileSync } from "node:fs";
import { TokenVerifier } from "../lib/auth/auth.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import { ConfigError } from "../lib/runtime/config.ts";
import { Stack, untilSignal } from "../lib/runtime/lifecycle.ts";
import { listen } from "../lib/runtime/listen.ts";
import { createLogger } from "../lib/runtime/log.ts";
import { TraceStore } from "./adapters/store.ts";
import { readConfig } from "./config.ts";
import { closeServer, traceServer } from "./server.ts";

const log = createLogger("traces");
try {
  const config = readConfig(process.env);
  if (process.argv.includes("--check-config")) process.stdout.write(`${config.shown}\n`);
  else await run(config);
} catch (err) {
  if (err instanceof ConfigError) process.stderr.write(`traces: ${err.message}\n`);
  else log.error("the trace receiver failed", { error: err });
  process.exitCode = 1;
}

async function run(config: ReturnType<typeof readConfig>): Promise<void> {
  const stopped = untilSignal();
  const stack = new Stack();
  try {
    const verifier = new TokenVerifier(readFileSync(config.publicKeyFile, "utf8"));
    const store = new TraceStore(config.dir, config.bounds, systemClock);
    stack.add("database", () => store.close());

    const server = traceServer(store, (authorization) => verifier.verify(authorization), systemClock);
    const port = await listen(server, config.listen, "TRACES_LISTEN");
    stack.add("http", () => closeServer(server));
    log.info("ready", { listen: config.listen, port, dir: config.dir });

    log.info("stopping", { signal: await stopped });
  } finally {
    await stack.close();
  }
}
