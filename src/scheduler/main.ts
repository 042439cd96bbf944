/**
 * The scheduler: holds auctions among the hosts of a region and keeps their reservations in Redis. The api calls it, hosts attach to it.
 * It owns nothing: any replica may be killed at any moment, which costs the auctions it was holding; hosts attach again to the next.
 */
import { readFileSync } from "node:fs";
import { SchedulerServiceService } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { TokenVerifier } from "../lib/auth/auth.ts";
import { addHealth, Health } from "../lib/grpc/server/health.ts";
import { addReflection } from "../lib/grpc/server/reflection.ts";
import { createServer, serve } from "../lib/grpc/server/serve.ts";
import { serveMetrics } from "../lib/otel/metrics.ts";
import { flushTelemetry } from "../lib/otel/tracing.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import { ConfigError } from "../lib/runtime/config.ts";
import { Stack, untilSignal } from "../lib/runtime/lifecycle.ts";
import { createLogger } from "../lib/runtime/log.ts";
import { Redis } from "../lib/stores/redis.ts";
import { readConfig } from "./config.ts";
import { exposeScheduler } from "./metrics.ts";
import { makeScheduler, REDIS_TIMEOUT_MS } from "./scheduler.ts";

const SERVICE = "windhover.scheduler.v1.SchedulerService";

const log = createLogger("scheduler");
try {
  const config = readConfig(process.env);
  if (process.argv.includes("--check-config")) process.stdout.write(`${config.shown}\n`);
  else await run(config);
} catch (err) {
  if (err instanceof ConfigError) process.stderr.write(`scheduler: ${err.message}\n`);
  else log.error("the scheduler failed", { error: err });
  process.exitCode = 1;
}

async function run(config: ReturnType<typeof readConfig>): Promise<void> {
  const stopped = untilSignal();
  const stack = new Stack();
  try {
    stack.add("telemetry", () => flushTelemetry());
    const verifier = new TokenVerifier(readFileSync(config.publicKeyFile, "utf8"));

    // Not waited for: without Redis it serves all the same, and says REDIS_UNAVAILABLE.
    const redis = new Redis(config.redis, { commandTimeoutMs: REDIS_TIMEOUT_MS });
    stack.add("redis", () => redis.close());

    const scheduler = makeScheduler(redis, systemClock, config);
    stack.add("loops", () => scheduler.stop());

    const health = new Health([SERVICE]);
    const server = createServer({ verifier });
    server.addService(SchedulerServiceService, scheduler.service);
    addHealth(server, health);
    addReflection(server, [SERVICE, "grpc.health.v1.Health"]);

    if (config.metricsListen !== undefined) {
      exposeScheduler(scheduler);
      const listen = config.metricsListen;
      const variable = "SCHEDULER_METRICS_LISTEN";
      stack.add("metrics", await serveMetrics(listen, () => health.isServing(), variable));
    }
    const running = await serve(server, config.listen, config.graceMs, health, "SCHEDULER_LISTEN");
    stack.add("grpc", running, config.graceMs + 5_000);
    log.info("ready", { listen: config.listen, port: running.port, region: config.region });

    log.info("stopping", { signal: await stopped });
  } finally {
    await stack.close();
  }
}
