/**
 * The scheduler holds auctions among the hosts of a region and keeps reservations in Redis. Apis call it, hosts attach to it.
 * It may lose everything: when a replica ends, its auctions fail and its hosts attach to the others.
 */
import { SchedulerServiceService } from "../gen/windhover/scheduler/v1/scheduler.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { Redis } from "../lib/stores/redis.ts";
import { readConfig, type SchedulerConfig } from "./config.ts";
import { exposeScheduler } from "./metrics.ts";
import { makeScheduler, REDIS_TIMEOUT_MS } from "./scheduler.ts";
import { RULES } from "./service-rules.ts";

await runService("scheduler", readConfig, start);

async function start(config: SchedulerConfig, stack: Stack) {
  const access = openAccess(stack, config, false);
  // Without Redis it serves all the same, and fails with REDIS_UNAVAILABLE.
  const redis = new Redis(config.redis, { commandTimeoutMs: REDIS_TIMEOUT_MS });
  stack.add("redis", () => redis.close());

  const scheduler = makeScheduler(redis, systemClock, config);
  stack.add("loops", () => scheduler.stop());

  const { port } = await serveGrpc(stack, config, access, {
    prefix: "SCHEDULER",
    services: ["windhover.scheduler.v1.SchedulerService"],
    rules: RULES,
    addTo: (server) => server.addService(SchedulerServiceService, scheduler.service),
    exposeMetrics: () => exposeScheduler(scheduler.hosts, scheduler.reservations),
  });
  return { listen: config.listen, port, region: config.region };
}
