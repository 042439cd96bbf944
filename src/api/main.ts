/**
 * The api: the public contract of a region. Clients create machines through it, which it does as stored sagas in Postgres, and start them, which
 * is one message to the host that owns the machine; hosts tell it where they are and what changed. It may be killed at any moment: creates are
 * taken over by any replica, and its table of hosts is on its disk.
 */
import { readFileSync } from "node:fs";
import { startWarmUp } from "../lib/grpc/server/warm-up.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { openApi, SERVICES } from "./api.ts";
import { type ApiConfig, readConfig } from "./config.ts";
import { RegistryImages } from "./creates/steps/images.ts";
import { exposeApi } from "./metrics.ts";

await runService("api", readConfig, start);

async function start(config: ApiConfig, stack: Stack) {
  const signingKey = readFileSync(config.signingKeyFile, "utf8");
  const images = new RegistryImages(config.registryAuthFile, config.registryInsecure);
  const api = await openApi({ ...config, signingKey, images, clock: systemClock }, stack);

  // Serving without Postgres is on purpose: machines start without it.
  const { port } = await serveGrpc(stack, config, {
    prefix: "API",
    services: SERVICES,
    addTo: (server) => api.addTo(server),
    exposeMetrics: () => exposeApi(api),
  });
  // Before the server: whoever waits for a create is still there to be told that another api goes on with it.
  stack.add("running creates", () => api.runner.drain(config.graceMs / 2), config.graceMs + 5_000);
  startWarmUp(stack, config.listen, port, config.warmUpCalls);
  return { listen: config.listen, port, region: config.region };
}
