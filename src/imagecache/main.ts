/**
 * The image cache: pulls OCI images and turns each into one read-only root file system on local disk, ready to boot. One runs
 * on every host, beside hostd, which calls it. Everything it owns is a cache, except what is in use: an image that is pinned is
 * never removed, and pins survive. It may be killed at any moment; a pull that was under way is taken up where it was.
 */
import { readFileSync } from "node:fs";
import { ImageCacheServiceService } from "../gen/windhover/imagecache/v1/imagecache.ts";
import { TokenVerifier } from "../lib/auth/auth.ts";
import { addHealth, Health } from "../lib/grpc/server/health.ts";
import { addReflection } from "../lib/grpc/server/reflection.ts";
import { createServer, serve } from "../lib/grpc/server/serve.ts";
import { serveMetrics } from "../lib/otel/metrics.ts";
import { flushTelemetry } from "../lib/otel/tracing.ts";
import { ConfigError } from "../lib/runtime/config.ts";
import { Stack, untilSignal } from "../lib/runtime/lifecycle.ts";
import { createLogger } from "../lib/runtime/log.ts";
import { openCache } from "./cache.ts";
import { readConfig } from "./config.ts";
import { exposeCache } from "./metrics.ts";
import { imageCacheService } from "./service.ts";

const SERVICE = "windhover.imagecache.v1.ImageCacheService";

const log = createLogger("imagecache");
try {
  const config = readConfig(process.env);
  if (process.argv.includes("--check-config")) process.stdout.write(`${config.shown}\n`);
  else await run(config);
} catch (err) {
  if (err instanceof ConfigError) process.stderr.write(`imagecache: ${err.message}\n`);
  else log.error("the image cache failed", { error: err });
  process.exitCode = 1;
}

async function run(config: ReturnType<typeof readConfig>): Promise<void> {
  const stopped = untilSignal();
  const stack = new Stack();
  try {
    stack.add("telemetry", () => flushTelemetry());
    const verifier = new TokenVerifier(readFileSync(config.publicKeyFile, "utf8"));

    const cache = await openCache(config);
    stack.add("cache", () => cache.close());

    const health = new Health([SERVICE]);
    const server = createServer({ verifier });
    server.addService(ImageCacheServiceService, imageCacheService(cache.images, cache.room));
    addHealth(server, health);
    addReflection(server, [SERVICE, "grpc.health.v1.Health"]);

    if (config.metricsListen !== undefined) {
      exposeCache(cache);
      const variable = "IMAGECACHE_METRICS_LISTEN";
      stack.add("metrics", await serveMetrics(config.metricsListen, () => health.isServing(), variable));
    }
    const running = await serve(server, config.listen, config.graceMs, health, "IMAGECACHE_LISTEN");
    stack.add("grpc", running, config.graceMs + 5_000);
    log.info("ready", { listen: config.listen, port: running.port, dir: config.dir });

    log.info("stopping", { signal: await stopped });
  } finally {
    await stack.close();
  }
}
