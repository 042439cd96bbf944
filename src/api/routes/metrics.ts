import { gauge } from "../../lib/otel/metrics.ts";
import type { RouteFeed } from "./route-feed.ts";

/** Must be called once per process. */
export function exposeRoutes(feed: Pick<RouteFeed, "size">): void {
  gauge("windhover_route_watches", "Proxies that watch routes here.", () => feed.size);
}
