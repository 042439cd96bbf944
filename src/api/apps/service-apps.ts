import { type AppsServiceServer, App as WireApp } from "../../gen/windhover/machines/v1/apps.ts";
import { requireScope } from "../../lib/auth/claims.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkAppName, checkNetwork, checkRequestId, checkSlug, requireName } from "../requests/names.ts";
import { readPage } from "../requests/pages.ts";
import type { App } from "./app.ts";
import { type DeleteAppParts, deleteApp } from "./delete-app.ts";
import { type HostnameParts, hostnamesService } from "./service-hostnames.ts";

export interface AppServiceParts extends DeleteAppParts, Omit<HostnameParts, "apps"> {}

export function appsService(parts: AppServiceParts): AppsServiceServer {
  const { apps } = parts;
  return {
    createApp: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:write");
      const violations = new Violations();
      violations.add("name", checkAppName(req.name));
      if (req.org !== "") violations.add("org", checkSlug(req.org));
      if (req.network !== "") violations.add("network", checkNetwork(req.network));
      if (req.requestId !== "") violations.add("request_id", checkRequestId(req.requestId));
      violations.throwIfAny();
      if (req.org !== "" && req.org !== org) requireScope(ctx, "admin");
      const { name, network } = req;
      const app = { name, network, org: req.org || org, requestId: req.requestId || undefined };
      return { app: appToProto(await apps.create(app)) };
    }),
    getApp: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:read");
      return { app: appToProto(await apps.get(requireName("name", req.name, checkAppName), org)) };
    }),
    listApps: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:read");
      const { items, nextPageToken } = await readPage(req, {
        name: `apps/${org}`,
        keyForms: ["name"],
        keysOf: ({ name }) => [name],
        read: ([after] = [""], limit) => apps.list(org, after ?? "", limit),
        toProto: appToProto,
        bytesOf: (app) => WireApp.encode(app).finish().length,
      });
      return { apps: items, nextPageToken };
    }),
    deleteApp: unary(async (req, ctx) => {
      const caller = authorize(ctx, "machines:write");
      const name = requireName("name", req.name, checkAppName);
      return { machinesDestroyed: await deleteApp(parts, name, req.force, caller) };
    }),
    ...hostnamesService(parts),
  };
}

function appToProto({ name, org, network, orgName, createTimeMs, machineCount }: App): WireApp {
  return { name, org, network, orgName, createTime: timeToProto(createTimeMs), machineCount };
}
