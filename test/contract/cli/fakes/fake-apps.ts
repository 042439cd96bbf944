import type { Organization } from "../../../../src/gen/windhover/admin/v1/organizations.ts";
import type { App, Hostname } from "../../../../src/gen/windhover/machines/v1/apps.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { type CallContext, unary } from "../../../../src/lib/grpc/server/rpc.ts";

/** Notes a call, and fails or answers as scripted. */
export type Answer = <T>(method: string, request: unknown, ctx: CallContext, fn: () => T) => T;

/** Apps in memory. */
export function appsService(apps: Map<string, App>, hostnames: Map<string, Hostname>, answer: Answer) {
  const app = (name: string): App => {
    const found = apps.get(name);
    if (!found) throw new Fault("NOT_FOUND", "APP_NOT_FOUND", `there is no app ${name}`, { app: name });
    return found;
  };
  return {
    createApp: unary((req: { name: string; org: string; network: string }, ctx) =>
      answer("createApp", req, ctx, () => {
        const made = {
          name: req.name,
          org: req.org || "acme",
          createTime: new Date(1e12),
          machineCount: 0,
          network: req.network,
          orgName: "",
        };
        apps.set(req.name, made);
        return { app: made };
      }),
    ),
    getApp: unary((req: { name: string }) => ({ app: app(req.name) })),
    listApps: unary((req: object, ctx) =>
      answer("listApps", req, ctx, () => ({ apps: [...apps.values()], nextPageToken: "" })),
    ),
    deleteApp: unary((req: { name: string; force: boolean }, ctx) =>
      answer("deleteApp", req, ctx, () => {
        const { machineCount } = app(req.name);
        if (machineCount > 0 && !req.force) {
          throw new Fault("FAILED_PRECONDITION", "APP_NOT_EMPTY", "the app has machines", {
            app: req.name,
          });
        }
        apps.delete(req.name);
        return { machinesDestroyed: machineCount };
      }),
    ),
    addHostname: unary((req: { app: string; hostname: string }, ctx) =>
      answer("addHostname", req, ctx, () => {
        const made = { name: req.hostname, app: app(req.app).name, createTime: new Date() };
        hostnames.set(req.hostname, made);
        return { hostname: made };
      }),
    ),
    removeHostname: unary((req: { app: string; hostname: string }, ctx) =>
      answer("removeHostname", req, ctx, () => {
        app(req.app);
        hostnames.delete(req.hostname);
        return {};
      }),
    ),
    listHostnames: unary((req: { app: string }, ctx) =>
      answer("listHostnames", req, ctx, () => {
        const own = { name: `${app(req.app).name}.localhost`, app: req.app, createTime: undefined };
        return { hostnames: [own, ...hostnames.values()] };
      }),
    ),
  };
}

/** Organisations in memory. */
export function orgsService(orgs: Map<string, Organization>, answer: Answer) {
  const get = (slug: string): Organization => {
    const found = orgs.get(slug);
    if (!found)
      throw new Fault("NOT_FOUND", "ORG_NOT_FOUND", `there is no organisation ${slug}`, { org: slug });
    return found;
  };
  type Fields = Pick<Organization, "slug" | "standing" | "quota" | "limits">;
  return {
    createOrganization: unary((req: { slug: string; name: string; quota?: Organization["quota"] }) => {
      const quota = req.quota ?? { machines: 100, memoryMb: 65_536n };
      const made = { slug: req.slug, name: req.name || req.slug, standing: 1 as const, quota };
      const organization = {
        ...made,
        machinesUsed: 2,
        memoryMbUsed: 512n,
        imageMbUsed: 3n,
        createTime: new Date(1e12),
        limits: undefined,
      };
      orgs.set(req.slug, organization);
      return { organization };
    }),
    getOrganization: unary((req: { slug: string }) => ({ organization: get(req.slug) })),
    listOrganizations: unary(() => ({ organizations: [...orgs.values()], nextPageToken: "" })),
    updateOrganization: unary((req: Fields) => {
      const before = get(req.slug);
      const organization = {
        ...before,
        standing: req.standing || before.standing,
        quota: req.quota ?? before.quota,
        limits: req.limits ?? before.limits,
      };
      orgs.set(req.slug, organization);
      return { organization };
    }),
    createToken: unary((req: { org: string; scopes: string[]; ttlSeconds: bigint }, ctx) =>
      answer("createToken", req, ctx, () => ({
        token: `token-of-${req.org}`,
        expireTime: new Date(Date.now() + Number(req.ttlSeconds) * 1_000),
      })),
    ),
  };
}
