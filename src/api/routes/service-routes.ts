import type { RoutesServiceServer } from "../../gen/windhover/admin/v1/routes.ts";
import { Fault } from "../../lib/faults/fault.ts";
import { serverStream } from "../../lib/grpc/server/rpc.ts";
import { Concurrency } from "../../lib/limits/concurrency.ts";
import { authorize } from "../requests/authorize.ts";
import { parsePosition } from "../watches/position.ts";
import { responsesOf } from "./convert-messages.ts";
import { type WatchRoutesParts, watchRoutes } from "./watch-routes.ts";

/** Proxies that watch at one api. */
const MAX_STREAMS = 200;
const ALL = "proxies";

export interface RouteServiceParts {
  readonly routes: WatchRoutesParts;
}

export function routesService({ routes }: RouteServiceParts): RoutesServiceServer {
  const streams = new Concurrency(MAX_STREAMS, tooMany);
  return {
    watchRoutes: serverStream(async function* ({ afterPosition }, ctx) {
      authorize(ctx, "internal");
      const giveBack = streams.take(ALL);
      try {
        // A position that is none of ours is as good as none: the proxy gets everything.
        const after = parsePosition(afterPosition);
        for await (const message of watchRoutes(routes, after, ctx.signal)) yield* responsesOf(message);
      } finally {
        giveBack();
      }
    }),
  };
}

function tooMany(_holder: string, limit: number): Fault {
  const message = `${limit} proxies watch routes at this api, as many as may; ask another api`;
  const facts = { limit: String(limit) };
  return new Fault("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS", message, facts, { retryAfterMs: 1_000 });
}
