import { AuditServiceService } from "../gen/windhover/admin/v1/audit.ts";
import {
  HostReportsServiceService,
  HostsServiceService,
  ReservationsServiceService,
} from "../gen/windhover/admin/v1/hosts.ts";
import { OrganizationsServiceService } from "../gen/windhover/admin/v1/organizations.ts";
import { RevocationsServiceService } from "../gen/windhover/admin/v1/revocations.ts";
import { RoutesServiceService } from "../gen/windhover/admin/v1/routes.ts";
import { TokensServiceService } from "../gen/windhover/admin/v1/tokens.ts";
import { type AcquireMachineRequest, AcquireServiceService } from "../gen/windhover/machines/v1/acquire.ts";
import { AppsServiceService } from "../gen/windhover/machines/v1/apps.ts";
import { ExecServiceService } from "../gen/windhover/machines/v1/exec.ts";
import { LeasesServiceService } from "../gen/windhover/machines/v1/leases.ts";
import { MachinesServiceService, type WatchMachinesRequest } from "../gen/windhover/machines/v1/machines.ts";
import { PlatformServiceService } from "../gen/windhover/machines/v1/platform.ts";
import { RegistriesServiceService } from "../gen/windhover/machines/v1/registries.ts";
import type { Scope } from "../lib/auth/claims.ts";
import { joinRules, type ObjectKind, type RpcRule, type RuleObject, rulesOf } from "../lib/auth/rpc-rules.ts";

type About = Pick<RpcRule, "object" | "objects" | "made" | "org">;

/** A call that changes nothing. */
function reads(scope: Scope, action: string, kind?: ObjectKind, about: About = {}): RpcRule {
  const needs = { scopes: [scope], isAudited: false, needsGoodStanding: false } as const;
  return { action, ...needs, ...(kind && { kind }), ...about };
}

/** A call that a suspended organisation may make all the same. */
function ends(scope: Scope, action: string, kind: ObjectKind, about: About): RpcRule {
  return { ...reads(scope, action, kind, about), isAudited: true };
}

/** A call that a suspended organisation may not make. */
function changes(scope: Scope, action: string, kind: ObjectKind, about: About): RpcRule {
  return { ...ends(scope, action, kind, about), needsGoodStanding: true };
}

const machine = { object: "machineId" };
const host = { object: "host" };
const org = { object: "org" };
const slug = { object: "slug" };
const app = { object: "name" };
const registry = { object: "registry" };

/** Objects of the steps of an acquire. */
function objectsOfAcquire(request: unknown): readonly RuleObject[] {
  const { steps } = request as AcquireMachineRequest;
  return steps.flatMap(({ step }): RuleObject[] => {
    if (!step) return [];
    return step.$case === "start"
      ? [{ kind: "machine", id: step.value.machineId }]
      : [{ kind: "app", id: step.value.app }];
  });
}

/** A watch is about its machines, or else about an app or all. */
function objectsOfWatch(request: unknown): readonly RuleObject[] {
  const { machineIds, app } = request as WatchMachinesRequest;
  if (machineIds.length > 0) return machineIds.map((id) => ({ kind: "machine", id }));
  return app === "" ? [] : [{ kind: "app", id: app }];
}

/** The rule of each RPC of an api. A method without a rule is refused. */
export const RULES = joinRules(
  rulesOf(MachinesServiceService, {
    createMachine: changes("machines:write", "machines:create", "app", {
      object: "app",
      made: "machine.id",
    }),
    watchCreate: reads("machines:read", "machines:watch-create", "create", { object: "requestId" }),
    getMachine: reads("machines:read", "machines:get", "machine", machine),
    listMachines: reads("machines:read", "machines:list", "app", { object: "app" }),
    startMachine: changes("machines:write", "machines:start", "machine", machine),
    stopMachine: ends("machines:write", "machines:stop", "machine", machine),
    destroyMachine: ends("machines:write", "machines:destroy", "machine", machine),
    waitMachine: reads("machines:read", "machines:wait", "machine", machine),
    streamLogs: reads("machines:read", "machines:logs", "machine", machine),
    updateMachine: changes("machines:write", "machines:update", "machine", machine),
    restartMachine: changes("machines:write", "machines:restart", "machine", machine),
    suspendMachine: ends("machines:write", "machines:suspend", "machine", machine),
    signalMachine: ends("machines:write", "machines:signal", "machine", machine),
    setMachineCordon: ends("machines:write", "machines:cordon", "machine", machine),
    updateMetadata: changes("machines:write", "machines:update-metadata", "machine", machine),
    listMachineEvents: reads("machines:read", "machines:list-events", "machine", machine),
    listMachineVersions: reads("machines:read", "machines:list-versions", "machine", machine),
    watchMachines: reads("machines:read", "machines:watch", "app", {
      object: "app",
      objects: objectsOfWatch,
    }),
  }),
  rulesOf(LeasesServiceService, {
    acquireLease: ends("machines:write", "leases:acquire", "machine", machine),
    getLease: reads("machines:write", "leases:get", "machine", machine),
    releaseLease: ends("machines:write", "leases:release", "machine", machine),
  }),
  rulesOf(ExecServiceService, {
    runCommand: changes("machines:write", "machines:exec", "machine", machine),
    execMachine: { ...changes("machines:write", "machines:exec", "machine", machine), isSession: true },
    listProcesses: reads("machines:read", "machines:list-processes", "machine", machine),
  }),
  rulesOf(AcquireServiceService, {
    acquireMachine: changes("machines:write", "machines:acquire", "machine", {
      made: "machine.id",
      objects: objectsOfAcquire,
    }),
  }),
  rulesOf(PlatformServiceService, {
    listRegions: { ...reads("machines:read", "platform:list-regions"), isAboutNoObject: true },
    estimatePlacements: reads("machines:read", "platform:estimate-placements"),
    getCaller: {
      ...reads("machines:read", "tokens:get-caller"),
      isAboutNoObject: true,
      scopes: ["admin", "machines:read", "machines:write"],
    },
  }),
  rulesOf(AppsServiceService, {
    createApp: changes("machines:write", "apps:create", "app", app),
    getApp: reads("machines:read", "apps:get", "app", app),
    listApps: reads("machines:read", "apps:list"),
    deleteApp: ends("machines:write", "apps:delete", "app", app),
    addHostname: changes("machines:write", "apps:add-hostname", "app", { object: "app" }),
    removeHostname: ends("machines:write", "apps:remove-hostname", "app", { object: "app" }),
    listHostnames: reads("machines:read", "apps:list-hostnames", "app", { object: "app" }),
  }),
  rulesOf(RegistriesServiceService, {
    setRegistryCredentials: changes("machines:write", "registries:login", "registry", registry),
    deleteRegistryCredentials: ends("machines:write", "registries:logout", "registry", registry),
    listRegistryCredentials: reads("machines:read", "registries:list"),
  }),
  rulesOf(OrganizationsServiceService, {
    createOrganization: ends("admin", "orgs:create", "org", slug),
    getOrganization: reads("admin", "orgs:get", "org", slug),
    listOrganizations: reads("admin", "orgs:list"),
    updateOrganization: ends("admin", "orgs:update", "org", slug),
    createToken: ends("admin", "tokens:create", "token", { ...org, made: "id" }),
  }),
  rulesOf(TokensServiceService, {
    listTokens: reads("admin", "tokens:list", "org", org),
    revokeToken: ends("admin", "tokens:revoke", "token", { object: "id" }),
    revokeOrganizationTokens: ends("admin", "tokens:revoke-all", "org", org),
    listTokenKeys: {
      ...reads("admin", "tokens:list-keys"),
      scopes: ["admin", "machines:read", "machines:write"],
    },
  }),
  rulesOf(AuditServiceService, {
    readAudit: { ...reads("admin", "audit:read"), org: "org", scopes: ["admin", "machines:read"] },
  }),
  rulesOf(HostsServiceService, {
    listHosts: reads("admin", "hosts:list"),
    setHostScheduling: ends("admin", "hosts:schedule", "host", host),
    drainHost: ends("admin", "hosts:drain", "host", host),
  }),
  rulesOf(ReservationsServiceService, {
    listReservations: reads("admin", "reservations:list"),
  }),
  // Reports of hosts repeat all the time, and tell of calls that are in the log already.
  rulesOf(HostReportsServiceService, {
    announceHost: reads("internal", "hosts:announce", "host", { object: "number" }),
    reportEvents: reads("internal", "hosts:report", "host", { object: "hostNumber" }),
  }),
  rulesOf(RevocationsServiceService, {
    watchRevocations: reads("internal", "revocations:watch"),
  }),
  rulesOf(RoutesServiceService, {
    watchRoutes: reads("internal", "routes:watch"),
  }),
);
