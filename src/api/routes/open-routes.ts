import type { Queries } from "../../lib/stores/postgres.ts";
import type { ChangeLog } from "../watches/change-log.ts";
import type { ReaderParts } from "../watches/database-reader.ts";
import { RouteFeed } from "./route-feed.ts";
import { RouteLog } from "./route-log.ts";
import { RouteStore } from "./route-store.ts";
import type { WatchRoutesParts } from "./watch-routes.ts";

/** Opens what watches of routes need. Its feed must be closed. */
export function openRoutes(database: Queries, ends: ChangeLog, parts: ReaderParts): WatchRoutesParts {
  const store = new RouteStore(database);
  const log = new RouteLog(database, store);
  return { ...parts, store, log, ends, feed: new RouteFeed(ends, log, parts.clock) };
}
