/**
 * The api serves the public contract of a region. It runs creates as stored sagas in Postgres,
 * starts a machine with one call to its host, and takes the reports of hosts. It may be killed at
 * any time: other replicas go on with its creates, and its table of hosts is on disk.
 */
import { biscuits } from "../lib/auth/biscuit/user-token.ts";
import { startWarmUp } from "../lib/grpc/builtin/warm-up.ts";
import { fleetCredentials } from "../lib/oci/auth/fleet-credentials.ts";
import { systemClock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { logger } from "../lib/runtime/log.ts";
import { openSealingKeys } from "../lib/sealing/sealing-keys.ts";
import { openAccess } from "../lib/service/open-access.ts";
import { runService } from "../lib/service/run-service.ts";
import { serveGrpc } from "../lib/service/serve-grpc.ts";
import { openApi } from "./api.ts";
import { type ApiConfig, readConfig } from "./config.ts";
import { exposeCreates } from "./creates/metrics.ts";
import { RegistryImages } from "./creates/saga/images.ts";
import { serveRest } from "./rest/rest.ts";
import { exposeRoutes } from "./routes/metrics.ts";
import { RULES } from "./service-rules.ts";
import { exposeShares } from "./shares/metrics.ts";
import { exposeWatches } from "./watches/metrics.ts";
import { SERVICES } from "./wiring-services.ts";

await runService("api", readConfig, start);

async function start(config: ApiConfig, stack: Stack) {
  const access = openAccess(stack, config, true);
  biscuits.preload();
  const { registries } = config;
  const images = new RegistryImages(registries);
  stack.add("registries", async () => images.close());
  const { sealingKeyDir } = config;
  const keys = sealingKeyDir === undefined ? {} : { sealingKeys: await openSealingKeys(sealingKeyDir) };
  if (registries.authFile !== undefined && registries.authAllow.length === 0)
    logger.warn("REGISTRY_AUTH_FILE is set, and REGISTRY_AUTH_ALLOW lets nobody use it");
  const registry = {
    ...keys,
    fleetCredentials: fleetCredentials(registries.authFile, registries.authAllow),
    checkLogin: images.checkLogin.bind(images),
  };
  const auditDir = config.audit.folder;
  const api = await openApi(
    { ...config, ...access, ...registry, auditDir, images, clock: systemClock },
    stack,
  );

  // Served without Postgres, as machines start without it.
  const { port } = await serveGrpc(stack, config, access, {
    prefix: "API",
    services: SERVICES,
    rules: RULES,
    addTo: (server) => api.addTo(server),
    takeShare: (claims, path) => api.inProgress.take(claims, path),
    appOf: (machineId, org) => api.lookups.appOf(machineId, org),
    async serveBeside(calls) {
      if (config.rest === undefined) return;
      const { region, graceMs, edge } = config;
      const { connections } = edge;
      const rest = await serveRest({ ...config.rest, region, graceMs, connections }, calls, api.lookups);
      stack.add("rest", rest, config.graceMs + 5_000);
    },
    exposeMetrics: () => {
      exposeCreates(api.runner);
      exposeWatches(api.feed);
      exposeRoutes(api.routeFeed);
      exposeShares(api.shares, api.inProgress, [api.turns, api.databaseTurns]);
    },
  });
  // Before the server: callers that wait for a create are told that another api goes on with it.
  stack.add("running creates", () => api.runner.drain(config.graceMs / 2), config.graceMs + 5_000);
  startWarmUp(stack, config.listen, port, config.warmUpCalls, api.token);
  return { listen: config.listen, port, region: config.region };
}
