/**
 * The image cache: pulls OCI images and turns each into one read-only root file system on local disk, ready to boot. One runs
 * on every host, beside hostd, which calls it. Everything it owns is a cache, except what is in use: an image that is pinned is
 * never removed, and pins survive. It may be killed at any moment; a pull that was under way is taken up where it was.
 */
import { ImageCacheServiceService } from "../gen/windhover/imagecache/v1/imagecache.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { openCache } from "./cache.ts";
import { type ImageCacheConfig, readConfig } from "./config.ts";
import { exposeCache } from "./metrics.ts";
import { imageCacheService } from "./service.ts";

await runService("imagecache", readConfig, start);

async function start(config: ImageCacheConfig, stack: Stack) {
  const cache = await openCache(config);
  stack.add("cache", () => cache.close());

  const { port } = await serveGrpc(stack, config, {
    prefix: "IMAGECACHE",
    services: ["windhover.imagecache.v1.ImageCacheService"],
    addTo: (server) =>
      server.addService(ImageCacheServiceService, imageCacheService(cache.images, cache.room)),
    exposeMetrics: () => exposeCache(cache),
  });
  return { listen: config.listen, port, dir: config.dir };
}
