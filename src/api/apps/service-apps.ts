import type { AppsServiceServer, App as WireApp } from "../../gen/windhover/machines/v1/apps.ts";
import { requireScope } from "../../lib/auth/auth.ts";
import { unary } from "../../lib/grpc/rpc.ts";
import { Violations } from "../../lib/runtime/violations.ts";
import { timeTo } from "../machines/convert-machine.ts";
import { checkAppName, checkSlug } from "../requests/names.ts";
import { decodePageToken, encodePageToken, firstPage, pageSize } from "../requests/page-token.ts";
import { callerOf, nameOf } from "../requests/request.ts";
import type { App } from "./app.ts";
import type { AppStore } from "./app-store.ts";
import type { Apps } from "./apps.ts";

/** Puts apps on the wire: checks and converts, and decides nothing else. */
export function appsService(store: AppStore, apps: Apps): AppsServiceServer {
  return {
    createApp: unary(async (req, ctx) => {
      const { org } = callerOf(ctx, "machines:write");
      const violations = new Violations();
      violations.add("name", checkAppName(req.name));
      if (req.org !== "") violations.add("org", checkSlug(req.org));
      violations.throwIfAny();
      if (req.org !== "" && req.org !== org) requireScope(ctx, "admin");
      return { app: appTo(await store.create(req.name, req.org || org)) };
    }),
    getApp: unary(async (req, ctx) => {
      const { org } = callerOf(ctx, "machines:read");
      return { app: appTo(await store.get(nameOf("name", req.name, checkAppName), org)) };
    }),
    listApps: unary(async (req, ctx) => {
      const { org } = callerOf(ctx, "machines:read");
      const limit = pageSize(req.pageSize);
      const [after = ""] = decodePageToken(`apps/${org}`, 1, req.pageToken) ?? [];
      const { items, last } = firstPage(await store.list(org, after, limit + 1), limit);
      return {
        apps: items.map(appTo),
        nextPageToken: last ? encodePageToken(`apps/${org}`, [last.name]) : "",
      };
    }),
    deleteApp: unary(async (req, ctx) => {
      const caller = callerOf(ctx, "machines:write");
      const name = nameOf("name", req.name, checkAppName);
      return { machinesDestroyed: await apps.delete(name, req.force, caller) };
    }),
  };
}

function appTo(app: App): WireApp {
  return {
    name: app.name,
    org: app.org,
    createTime: timeTo(app.createTimeMs),
    machineCount: app.machineCount,
  };
}
