/**
 * The image cache pulls OCI images and turns each into a read-only root file system on local disk. One runs on every host,
 * beside hostd, which calls it. It may lose everything but pins and pinned images. A pull that it dies in is resumed.
 */
import { ImageCacheServiceService } from "../gen/windhover/imagecache/v1/imagecache.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { openCache } from "./cache.ts";
import { type ImageCacheConfig, readConfig } from "./config.ts";
import { exposeCache } from "./metrics.ts";
import { imageCacheService } from "./service.ts";
import { RULES } from "./service-rules.ts";

await runService("imagecache", readConfig, start);

async function start(config: ImageCacheConfig, stack: Stack) {
  const access = openAccess(stack, config, false);
  const cache = await openCache(config);
  stack.add("cache", () => cache.close());

  const { port } = await serveGrpc(stack, config, access, {
    prefix: "IMAGECACHE",
    services: ["windhover.imagecache.v1.ImageCacheService"],
    rules: RULES,
    addTo: (server) =>
      server.addService(ImageCacheServiceService, imageCacheService(cache.images, cache.budget)),
    exposeMetrics: () => exposeCache(cache.images, cache.budget, cache.sandbox),
  });
  return { listen: config.listen, port, dir: config.dir };
}
