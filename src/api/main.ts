/**
 * The api: the public contract of a region. Clients create machines through it, which it does as stored sagas in Postgres, and start them, which
 * is one message to the host that owns the machine; hosts tell it where they are and what changed. It may be killed at any moment: creates are
 * taken over by any replica, and its table of hosts is on its disk.
 */
import { readFileSync } from "node:fs";
import { TokenVerifier } from "../lib/auth/auth.ts";
import { addHealth, Health } from "../lib/grpc/server/health.ts";
import { addReflection } from "../lib/grpc/server/reflection.ts";
import { createServer, serve } from "../lib/grpc/server/serve.ts";
import { startWarmUp } from "../lib/grpc/server/warm-up.ts";
import { serveMetrics } from "../lib/otel/metrics.ts";
import { flushTelemetry } from "../lib/otel/tracing.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import { ConfigError } from "../lib/runtime/config.ts";
import { Stack, untilSignal } from "../lib/runtime/lifecycle.ts";
import { createLogger } from "../lib/runtime/log.ts";
import { openApi, SERVICES } from "./api.ts";
import { readConfig } from "./config.ts";
import { RegistryImages } from "./creates/steps/images.ts";
import { exposeApi } from "./metrics.ts";

const log = createLogger("api");
try {
  const config = readConfig(process.env);
  if (process.argv.includes("--check-config")) process.stdout.write(`${config.shown}\n`);
  else await run(config);
} catch (err) {
  if (err instanceof ConfigError) process.stderr.write(`api: ${err.message}\n`);
  else log.error("the api failed", { error: err });
  process.exitCode = 1;
}

async function run(config: ReturnType<typeof readConfig>): Promise<void> {
  const stopped = untilSignal();
  const stack = new Stack();
  try {
    stack.add("telemetry", () => flushTelemetry());
    const verifier = new TokenVerifier(readFileSync(config.publicKeyFile, "utf8"));
    const signingKey = readFileSync(config.signingKeyFile, "utf8");
    const images = new RegistryImages(config.registryAuthFile, config.registryInsecure);
    const api = await openApi({ ...config, signingKey, images, clock: systemClock }, stack);

    // Serving without Postgres is on purpose: machines start without it.
    const health = new Health(SERVICES);
    const server = createServer({ verifier });
    api.addTo(server);
    addHealth(server, health);
    addReflection(server, [...SERVICES, "grpc.health.v1.Health"]);

    if (config.metricsListen !== undefined) {
      exposeApi(api);
      const listen = config.metricsListen;
      stack.add("metrics", await serveMetrics(listen, () => health.isServing(), "API_METRICS_LISTEN"));
    }
    const running = await serve(server, config.listen, config.graceMs, health, "API_LISTEN");
    stack.add("grpc", running, config.graceMs + 5_000);
    // Before the server: whoever waits for a create is still there to be told that another api goes on with it.
    stack.add("running creates", () => api.runner.drain(config.graceMs / 2), config.graceMs + 5_000);
    startWarmUp(stack, config.listen, running.port, config.warmUpCalls);
    log.info("ready", { listen: config.listen, port: running.port, region: config.region });

    log.info("stopping", { signal: await stopped });
  } finally {
    await stack.close();
  }
}
