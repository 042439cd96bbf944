import { z } from "zod";
import { AppsServiceService } from "../../../gen/windhover/machines/v1/apps.ts";
import { ListMachinesRequest, MachinesServiceService } from "../../../gen/windhover/machines/v1/machines.ts";
import { Fault, invalid } from "../../../lib/faults/fault.ts";
import { stateToProto } from "../../machines/convert-machine.ts";
import { RUNNING_STATES } from "../../machines/machine.ts";
import { appToJson } from "../convert/convert-platform.ts";
import { flag, needed, queryFlag, text } from "../convert/fields.ts";
import type { JsonObject } from "../convert/json.ts";
import { requestIdOf } from "../requests/idempotency.ts";
import { requireOwnOrg } from "../requests/own-org.ts";
import { type RestRequest, type Route, route } from "../requests/route.ts";

const TAG = "Apps";
const PAGE = 1_000;
const RUNNING = [...RUNNING_STATES].map(stateToProto);

export const appRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/apps",
    tag: TAG,
    summary: "Lists the apps of an organisation by name.",
    answer: "apps",
    rpc: AppsServiceService.listApps,
    query: z.looseObject({
      org_slug: needed(text("The organisation.")),
      app_role: text("Lists apps with a role only. No app has one."),
    }),
    async handle(request) {
      const { org_slug: slug, app_role: role } = request.read().query;
      if (!slug) throw invalid([{ field: "org_slug", description: "is required" }]);
      requireOwnOrg(request, slug);
      const apps: JsonObject[] = [];
      let page = await request.unary({ pageSize: PAGE, pageToken: "" });
      // flyctl takes the app that a role yields for a builder of its own, and may delete it.
      if (role) return { body: { apps, total_apps: 0 } };
      for (;;) {
        apps.push(...page.apps.map(appToJson));
        if (page.nextPageToken === "") return { body: { apps, total_apps: apps.length } };
        page = await request.also(AppsServiceService.listApps, {
          pageSize: PAGE,
          pageToken: page.nextPageToken,
        });
      }
    },
  }),
  route({
    method: "POST",
    path: "/v1/apps",
    tag: TAG,
    summary: "Creates an app.",
    description: "An `Idempotency-Key` makes it safe to repeat: the same key gives the same app.",
    answer: "app",
    rpc: AppsServiceService.createApp,
    names: { org: "org_slug" },
    body: z.looseObject({
      name: needed(text("Name of the app. All organisations share one name space.")),
      app_name: text("The old name of `name`."),
      org_slug: text("The organisation. Default: that of the token."),
      network: text("Kept, and not acted on."),
      enable_subdomains: flag(),
      request_id: text("The same as an `Idempotency-Key`, which counts when both are there."),
    }),
    status: 201,
    async handle(request) {
      const { body } = request.read();
      if (body.org_slug && !request.claims?.scopes.includes("admin")) requireOwnOrg(request, body.org_slug);
      const name = body.name || body.app_name || "";
      const requestId = requestIdOf(request.arrived.headers["idempotency-key"] || body.request_id);
      const { org_slug: org = "", network = "" } = body;
      const { app } = await request.unary({ name, org, network, requestId });
      return { body: app ? appToJson(app) : {} };
    },
  }),
  route({
    method: "GET",
    path: "/v1/apps/:app",
    tag: TAG,
    summary: "Returns an app.",
    answer: "app",
    rpc: AppsServiceService.getApp,
    async handle(request) {
      const { app } = await request.unary({ name: request.param("app") });
      return { body: app ? appToJson(app) : {} };
    },
  }),
  route({
    method: "DELETE",
    path: "/v1/apps/:app",
    tag: TAG,
    summary: "Deletes an app and its machines.",
    description:
      "Machines that run are stopped; with `force=false` they are refused with 412. Leases are ignored.",
    rpc: AppsServiceService.deleteApp,
    query: z.looseObject({ force: queryFlag() }),
    body: z.looseObject({ force: flag() }),
    status: 202,
    async handle(request) {
      const { query, body } = request.read();
      const name = request.param("app");
      // Published clients delete apps that run, and cannot send `force`.
      if (!(query.force ?? body.force ?? true)) await requireNoneRunning(request, name);
      await request.unary({ name, force: true });
      return {};
    },
  }),
];

async function requireNoneRunning(
  request: Pick<RestRequest<never, never>, "also">,
  app: string,
): Promise<void> {
  const query = ListMachinesRequest.fromPartial({ app, states: RUNNING, pageSize: 1, fresh: true });
  const { machines } = await request.also(MachinesServiceService.listMachines, query);
  if (machines.length > 0) {
    const message = `app ${app} has machines that run; stop them first, or leave out force=false`;
    throw new Fault("FAILED_PRECONDITION", "APP_NOT_EMPTY", message, { app });
  }
}
