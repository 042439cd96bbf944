import type { AppsServiceServer, Hostname as WireHostname } from "../../gen/windhover/machines/v1/apps.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { unary } from "../../lib/grpc/server/rpc.ts";
import { authorize } from "../requests/authorize.ts";
import { timeToProto } from "../requests/convert-time.ts";
import { checkAppName, requireName } from "../requests/names.ts";
import type { AppStore } from "./app-store.ts";
import { LOCAL_DOMAIN, parseHostname } from "./hostname.ts";
import type { Hostname, HostnameStore } from "./hostname-store.ts";

export interface HostnameParts {
  readonly apps: Pick<AppStore, "get">;
  readonly hostnames: HostnameStore;
  /** Domains whose names lead to apps by themselves, besides `localhost`. */
  readonly proxyDomains: readonly string[];
}

type HostnameMethods = Pick<AppsServiceServer, "addHostname" | "removeHostname" | "listHostnames">;

export function hostnamesService({ apps, hostnames, proxyDomains }: HostnameParts): HostnameMethods {
  return {
    addHostname: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:write");
      const { app, hostname } = hostnameFromProto(req, proxyDomains);
      return { hostname: hostnameToProto(await hostnames.add(hostname, app, org)) };
    }),
    removeHostname: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:write");
      // A domain of the fleet may be newer than the name.
      const { app, hostname } = hostnameFromProto(req, []);
      await hostnames.remove(hostname, app, org);
      return {};
    }),
    listHostnames: unary(async (req, ctx) => {
      const { org } = authorize(ctx, "machines:read");
      const app = requireName("app", req.app, checkAppName);
      await apps.get(app, org);
      const own = [LOCAL_DOMAIN, ...proxyDomains].map(
        (domain): Hostname => ({ name: `${app}.${domain}`, app, createTimeMs: undefined }),
      );
      return { hostnames: [...own, ...(await hostnames.list(app))].map(hostnameToProto) };
    }),
  };
}

function hostnameFromProto(
  req: { readonly app: string; readonly hostname: string },
  domains: readonly string[],
): { readonly app: string; readonly hostname: string } {
  const violations = new Violations();
  violations.add("app", checkAppName(req.app));
  const { hostname = "", problem } = parseHostname(req.hostname, domains);
  violations.add("hostname", problem);
  violations.throwIfAny();
  return { app: req.app, hostname };
}

function hostnameToProto({ name, app, createTimeMs }: Hostname): WireHostname {
  return { name, app, createTime: timeToProto(createTimeMs) };
}
