import { z } from "zod";
import { AppsServiceService } from "../../../gen/windhover/machines/v1/apps.ts";
import { invalid } from "../../../lib/faults/fault.ts";
import { hostnameToJson } from "../convert/convert-platform.ts";
import { needed, text } from "../convert/fields.ts";
import { type Route, route } from "../requests/route.ts";

const TAG = "Apps";
const HOSTNAMES = "/v1/apps/:app/hostnames";

/** Host names of apps: not of Fly's API, which has them with its certificates. */
export const hostnameRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: HOSTNAMES,
    tag: TAG,
    summary: "Lists the host names that lead to an app, those of the fleet's domains first.",
    answer: "hostnames",
    rpc: AppsServiceService.listHostnames,
    async handle(request) {
      const { hostnames } = await request.unary({ app: request.param("app") });
      return { body: { hostnames: hostnames.map(hostnameToJson) } };
    },
  }),
  route({
    method: "POST",
    path: HOSTNAMES,
    tag: TAG,
    summary: "Makes proxies send requests for a host name to an app.",
    description: "A repeat answers the same. A name that another app has is refused with 422.",
    answer: "hostname",
    rpc: AppsServiceService.addHostname,
    body: z.looseObject({
      hostname: needed(text("A DNS name, or `*.` and one for any one label before it.")),
    }),
    status: 201,
    async handle(request) {
      const { hostname: name } = request.read().body;
      if (!name) throw invalid([{ field: "hostname", description: "is required" }]);
      const { hostname } = await request.unary({ app: request.param("app"), hostname: name });
      return { body: hostname ? hostnameToJson(hostname) : {} };
    },
  }),
  route({
    method: "DELETE",
    path: `${HOSTNAMES}/:hostname`,
    tag: TAG,
    summary: "Takes a host name from an app.",
    answer: "ok",
    rpc: AppsServiceService.removeHostname,
    async handle(request) {
      await request.unary({ app: request.param("app"), hostname: request.param("hostname") });
      return { body: { ok: true } };
    },
  }),
];
