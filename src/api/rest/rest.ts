import type { LocalCalls } from "../../lib/grpc/server/local/local-calls.ts";
import type { ConnectionLimits } from "../../lib/limits/connection-limiter.ts";
import { listen } from "../../lib/runtime/listen.ts";
import { GRAPHQL_PATH, registerGraphql } from "./graphql/register.ts";
import { createRestServer } from "./http/create-server.ts";
import { Bodies } from "./http/read-body.ts";
import { registerRoute } from "./http/register-route.ts";
import { Components } from "./openapi/components.ts";
import { OPEN_PATHS, registerOpenApi, serveOpenApi } from "./openapi/register.ts";
import { type LookupSources, Lookups } from "./requests/lookups.ts";
import type { Route } from "./requests/route.ts";
import { laterRoutes } from "./routes/later.ts";
import { acquireRoutes } from "./routes/service-acquire.ts";
import { appRoutes } from "./routes/service-apps.ts";
import { execRoutes } from "./routes/service-exec.ts";
import { historyRoutes } from "./routes/service-history.ts";
import { hostnameRoutes } from "./routes/service-hostnames.ts";
import { leaseRoutes } from "./routes/service-leases.ts";
import { lifecycleRoutes } from "./routes/service-lifecycle.ts";
import { machineRoutes } from "./routes/service-machines.ts";
import { metadataRoutes } from "./routes/service-metadata.ts";
import { orgRoutes } from "./routes/service-org.ts";
import { platformRoutes } from "./routes/service-platform.ts";
import { execStreamRoutes } from "./streams/service-exec-stream.ts";
import { logRoutes } from "./streams/service-logs.ts";
import { watchRoutes } from "./streams/service-watch.ts";

/** Configuration of the REST API. */
export interface RestConfig {
  readonly listen: string;
  readonly region: string;
  readonly graceMs: number;
  readonly connections: ConnectionLimits;
  /** Origins whose pages may read answers; `*` for all. */
  readonly origins: readonly string[];
  /** See `ServerParts.arrivalMs`. */
  readonly arrivalMs?: { readonly headers: number; readonly request: number };
}

/** A running server: call it to shut it down gracefully. */
export interface RunningRest {
  (): Promise<void>;
  readonly port: number;
}

const ROUTES: readonly Route[] = [
  ...appRoutes,
  ...hostnameRoutes,
  ...machineRoutes,
  ...lifecycleRoutes,
  ...historyRoutes,
  ...metadataRoutes,
  ...leaseRoutes,
  ...execRoutes,
  ...watchRoutes,
  ...logRoutes,
  ...execStreamRoutes,
  ...acquireRoutes,
  ...orgRoutes,
  ...platformRoutes,
  ...laterRoutes,
];

/** Serves the REST API: each route makes calls of the gRPC API in this process. */
export async function serveRest(
  config: RestConfig,
  calls: LocalCalls,
  sources: LookupSources,
): Promise<RunningRest> {
  const { server, exchangeOf } = await createRestServer({ ...config, calls, known: methodsByPath(ROUTES) });
  const parts = { calls, lookups: new Lookups(sources), bodies: new Bodies() };
  await registerOpenApi(server);
  const components = new Components();
  serveOpenApi(server, components);
  for (const route of ROUTES) registerRoute(server, route, { parts, components, exchangeOf });
  registerGraphql(server, { parts, exchangeOf });
  await server.ready();
  const port = await listen(server.server, config.listen, "API_REST_LISTEN");
  const close = async () => {
    calls.drain();
    const cut = setTimeout(() => server.server.closeAllConnections(), config.graceMs);
    await server.close();
    clearTimeout(cut);
  };
  return Object.assign(close, { port });
}

function methodsByPath(routes: readonly Route[]): ReadonlyMap<string, ReadonlySet<string>> {
  const known = new Map<string, Set<string>>(OPEN_PATHS.map((path) => [path, new Set(["GET"])]));
  known.set(GRAPHQL_PATH, new Set(["POST"]));
  for (const { path, method } of routes) known.set(path, (known.get(path) ?? new Set()).add(method));
  return known;
}
