import type * as grpc from "@grpc/grpc-js";
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
import { AcquireServiceService } from "../gen/windhover/machines/v1/acquire.ts";
import { AppsServiceService } from "../gen/windhover/machines/v1/apps.ts";
import { ExecServiceService } from "../gen/windhover/machines/v1/exec.ts";
import { LeasesServiceService } from "../gen/windhover/machines/v1/leases.ts";
import { type MachinesServiceServer, MachinesServiceService } from "../gen/windhover/machines/v1/machines.ts";
import { PlatformServiceService } from "../gen/windhover/machines/v1/platform.ts";
import { RegistriesServiceService } from "../gen/windhover/machines/v1/registries.ts";
import type { SigningKeys } from "../lib/auth/keys.ts";
import type { Revocations } from "../lib/auth/revocations.ts";
import { Paces } from "../lib/limits/paces.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import type { Acquirer } from "./acquire/acquirer.ts";
import { acquireService } from "./acquire/service-acquire.ts";
import { type AppServiceParts, appsService } from "./apps/service-apps.ts";
import { auditService } from "./audit/service-audit.ts";
import type { Creates } from "./creates/creates.ts";
import { createsService } from "./creates/service-creates.ts";
import { execHosts } from "./exec/exec-client.ts";
import { execService } from "./exec/service-exec.ts";
import type { HostdConnections } from "./hosts/hostd-client.ts";
import { hostReportsService } from "./hosts/service-host-reports.ts";
import type { Leases } from "./leases/leases.ts";
import { leasesService } from "./leases/service-leases.ts";
import type { MachineChanges } from "./machines/changes/changes.ts";
import { changesService } from "./machines/changes/service-changes.ts";
import type { HistoryStore } from "./machines/history/history-store.ts";
import { historyService } from "./machines/history/service-history.ts";
import type { ListParts } from "./machines/lists/list-machines.ts";
import { listsService } from "./machines/lists/service-lists.ts";
import { machinesService } from "./machines/service-machines.ts";
import type { OperatorParts } from "./operators/drain.ts";
import type { HostSources } from "./operators/list-hosts.ts";
import { hostsService } from "./operators/service-hosts.ts";
import type { OrganizationStore } from "./orgs/organization-store.ts";
import { organizationsService } from "./orgs/service-organizations.ts";
import { platformService } from "./platform/service-platform.ts";
import { reservationsService } from "./regions/service-reservations.ts";
import type { Logins } from "./registries/logins.ts";
import { type LoginCheck, registriesService } from "./registries/service-registries.ts";
import { type RouteServiceParts, routesService } from "./routes/service-routes.ts";
import { type Bounds, withShares } from "./shares/with-shares.ts";
import { revocationsService } from "./tokens/service-revocations.ts";
import { tokensService } from "./tokens/service-tokens.ts";
import type { TokenStore } from "./tokens/token-store.ts";
import { updatesService } from "./updates/service-updates.ts";
import type { Updates } from "./updates/updates.ts";
import { type WatchServiceParts, watchesService } from "./watches/service-watches.ts";

/** The full names of the services of an api. */
export const SERVICES = [
  "windhover.machines.v1.MachinesService",
  "windhover.machines.v1.LeasesService",
  "windhover.machines.v1.ExecService",
  "windhover.machines.v1.AcquireService",
  "windhover.machines.v1.PlatformService",
  "windhover.machines.v1.AppsService",
  "windhover.machines.v1.RegistriesService",
  "windhover.admin.v1.OrganizationsService",
  "windhover.admin.v1.HostsService",
  "windhover.admin.v1.HostReportsService",
  "windhover.admin.v1.ReservationsService",
  "windhover.admin.v1.TokensService",
  "windhover.admin.v1.RevocationsService",
  "windhover.admin.v1.RoutesService",
  "windhover.admin.v1.AuditService",
];

/** Lines of logs that an organisation reads; a host has the same bound. */
const LINES = { perSecond: 50_000, burst: 200_000 };

export interface ServiceParts
  extends ListParts,
    WatchServiceParts,
    RouteServiceParts,
    AppServiceParts,
    OperatorParts,
    HostSources {
  readonly apps: AppServiceParts["apps"];
  readonly orgs: OrganizationStore;
  readonly changes: MachineChanges;
  readonly updates: Updates;
  readonly leases: Leases;
  readonly creates: Creates;
  /** Connections to hosts that streams share. */
  readonly streams: HostdConnections["streams"];
  readonly acquirer: Acquirer;
  readonly historyStore: HistoryStore;
  readonly logins: Logins;
  readonly checkLogin: LoginCheck;
  readonly region: string;
  readonly keys: SigningKeys;
  readonly clock: Clock;
  readonly bounds: Bounds;
  readonly tokens: TokenStore;
  readonly revocations: Revocations;
  readonly refreshRevocations: () => Promise<void>;
  readonly auditDir: string | undefined;
}

export function addServices(server: grpc.Server, parts: ServiceParts): void {
  const {
    machines,
    changes,
    updates,
    leases,
    creates,
    hosts,
    orgs,
    schedulers,
    region,
    keys,
    clock,
    bounds,
  } = parts;
  const { tokens, revocations, refreshRevocations } = parts;
  const machinesServer: MachinesServiceServer = {
    ...createsService(creates, { own: region, known: schedulers.regions() }),
    ...changesService(changes, machines, leases),
    ...updatesService(updates),
    ...listsService(parts),
    ...watchesService(parts),
    ...historyService(machines, parts.historyStore),
    ...machinesService(machines, new Paces({ ...LINES, clock })),
  };
  const add = (definition: grpc.ServiceDefinition, served: grpc.UntypedServiceImplementation) => {
    const shared = withShares(definition, served, bounds);
    server.addService(shared.definition, shared.implementation);
  };
  add(MachinesServiceService, machinesServer);
  add(LeasesServiceService, leasesService(leases));
  add(
    ExecServiceService,
    execService({ directory: hosts, store: parts.machineStore }, execHosts(parts.streams)),
  );
  const regions = { own: region, known: schedulers.regions() };
  add(AcquireServiceService, acquireService(parts.acquirer, regions));
  add(PlatformServiceService, platformService(schedulers, regions, clock));
  add(AppsServiceService, appsService(parts));
  add(RegistriesServiceService, registriesService(parts.logins, parts.checkLogin));
  add(OrganizationsServiceService, organizationsService(orgs, { keys, tokens, clock }, refreshRevocations));
  add(TokensServiceService, tokensService(parts));
  add(AuditServiceService, auditService(parts.auditDir));
  add(HostsServiceService, hostsService(parts, clock));
  add(ReservationsServiceService, reservationsService(schedulers, region));
  // Called by hosts and proxies alone, which have no organisation.
  server.addService(RevocationsServiceService, revocationsService(revocations));
  server.addService(HostReportsServiceService, hostReportsService(hosts));
  server.addService(RoutesServiceService, routesService(parts));
}
