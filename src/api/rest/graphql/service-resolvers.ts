import { type App, AppsServiceService } from "../../../gen/windhover/machines/v1/apps.ts";
import { PlatformServiceService } from "../../../gen/windhover/machines/v1/platform.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import type { LocalCaller } from "../../../lib/grpc/server/local/local-calls.ts";
import { appToJson } from "../convert/convert-platform.ts";
import { TIMEOUT_MS } from "../requests/limits.ts";
import { requireOwnOrg } from "../requests/own-org.ts";
import type { RouteParts, Rpc } from "../requests/route.ts";

/** Makes the functions that answer the fields of a query, with the rights of its caller. */
export function resolvers({ calls, lookups }: RouteParts, caller: LocalCaller, scopes: readonly string[]) {
  const call = async <Req, Res>(rpc: Rpc<Req, Res>, request: Req): Promise<Res> =>
    await (await calls.begin(rpc, caller, TIMEOUT_MS.read)).unary(request);
  const viewerRole = scopes.includes("admin") ? "admin" : "member";
  const organization = (slug: string, name: string) => ({
    ...{ id: slug, slug, rawSlug: slug, name },
    ...{ type: "SHARED", viewerRole },
  });
  const who = () => call(PlatformServiceService.getCaller, {});
  return {
    async app({ name = "" }: { readonly name?: string }) {
      const { app } = await call(AppsServiceService.getApp, { name });
      if (!app) return null;
      return appToGraph(app, organization(app.org, app.orgName || app.org));
    },
    async organization({ slug, id }: { readonly slug?: string; readonly id?: string }) {
      const { org } = await who();
      requireOwnOrg({ org }, slug ?? id ?? "");
      return organization(org, await lookups.nameOfOrg(org));
    },
    async organizations() {
      const { org } = await who();
      return { nodes: [organization(org, await lookups.nameOfOrg(org))], totalCount: 1 };
    },
    async platform() {
      const { regions, nearest } = await call(PlatformServiceService.listRegions, {});
      return {
        requestRegion: nearest,
        regions: regions.map(({ code, name, latitude, longitude }) => ({
          ...{ code, name: name || code, latitude, longitude },
          ...{ gatewayAvailable: true, requiresPaidPlan: false, deprecated: false },
        })),
      };
    },
    async viewer() {
      const { subject } = await who();
      return { id: subject, name: subject, email: subject };
    },
    setSecrets: () => notBuilt("setSecrets"),
    unsetSecrets: () => notBuilt("unsetSecrets"),
    allocateIpAddress: () => notBuilt("allocateIpAddress"),
    releaseIpAddress: () => notBuilt("releaseIpAddress"),
  };
}

function appToGraph(app: App, organization: object) {
  const { id, name, status, network } = appToJson(app);
  return {
    ...{ id, name, status, network, organization },
    deployed: app.machineCount > 0,
    platformVersion: "machines",
    ipAddresses: { nodes: [] },
  };
}

function notBuilt(operation: string): never {
  throw new Fault("UNIMPLEMENTED", "NOT_BUILT_YET", `${operation} is part of the API and is not built yet`);
}
