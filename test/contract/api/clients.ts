import type { Duration } from "../../../src/gen/google/protobuf/duration.ts";
import { AuditServiceClient } from "../../../src/gen/windhover/admin/v1/audit.ts";
import {
  AnnounceHostRequest,
  HostReportsServiceClient,
  HostsServiceClient,
  ReservationsServiceClient,
} from "../../../src/gen/windhover/admin/v1/hosts.ts";
import { OrganizationsServiceClient } from "../../../src/gen/windhover/admin/v1/organizations.ts";
import { RevocationsServiceClient } from "../../../src/gen/windhover/admin/v1/revocations.ts";
import { RoutesServiceClient } from "../../../src/gen/windhover/admin/v1/routes.ts";
import { TokensServiceClient } from "../../../src/gen/windhover/admin/v1/tokens.ts";
import { AppsServiceClient } from "../../../src/gen/windhover/machines/v1/apps.ts";
import { LeasesServiceClient } from "../../../src/gen/windhover/machines/v1/leases.ts";
import type {
  CheckConfig,
  GuestConfig,
  ServiceConfig,
} from "../../../src/gen/windhover/machines/v1/machine.ts";
import {
  CreateMachineRequest,
  MachinesServiceClient,
} from "../../../src/gen/windhover/machines/v1/machines.ts";
import { PlatformServiceClient } from "../../../src/gen/windhover/machines/v1/platform.ts";
import { RegistriesServiceClient } from "../../../src/gen/windhover/machines/v1/registries.ts";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import type { Scope } from "../../../src/lib/auth/claims.ts";
import { generateKeyPair } from "../../../src/lib/auth/keys.ts";
import { call, connect } from "../../../src/lib/grpc/client.ts";
import { mapToProto } from "../../../src/lib/grpc/messages/maps.ts";
import type { FakeHost } from "./fakes/fake-host.ts";

export const REGION = "ord";
/** Signs the tokens of all tests, and verifies them. */
export const KEYS = generateKeyPair();

export function token(org: string, scopes: readonly Scope[]): Promise<string> {
  return mintToken(KEYS.privateKey, { subject: "test", org, scopes }, 600);
}

export type Clients = Awaited<ReturnType<typeof clients>>;

/** Clients of all services, with one token. */
export async function clients(address: string, bearer: string | undefined) {
  const options = bearer === undefined ? {} : { token: () => bearer };
  const machines = connect(MachinesServiceClient, address, options);
  const leases = connect(LeasesServiceClient, address, options);
  const apps = connect(AppsServiceClient, address, options);
  const orgs = connect(OrganizationsServiceClient, address, options);
  const hosts = connect(HostsServiceClient, address, options);
  const reservations = connect(ReservationsServiceClient, address, options);
  const reports = connect(HostReportsServiceClient, address, options);
  const registries = connect(RegistriesServiceClient, address, options);
  const tokens = connect(TokensServiceClient, address, options);
  const revocations = connect(RevocationsServiceClient, address, options);
  const routes = connect(RoutesServiceClient, address, options);
  const platform = connect(PlatformServiceClient, address, options);
  const audit = connect(AuditServiceClient, address, options);
  return {
    machines,
    leases,
    apps,
    orgs,
    hosts,
    reservations,
    reports,
    registries,
    tokens,
    revocations,
    audit,
    platform,
    routes,
    create: (request: CreateInput = {}, signal?: AbortSignal) =>
      call(
        machines,
        machines.createMachine,
        createRequest(request, !("config" in request) || request.config !== undefined),
        {
          timeoutMs: 20_000,
          ...(signal ? { signal } : {}),
        },
      ),
    createApp: (name: string, org = "") =>
      call(apps, apps.createApp, { network: "", name, org, requestId: "" }, { timeoutMs: 20_000 }),
    start: (machineId: string) =>
      call(
        machines,
        machines.startMachine,
        { leaseNonce: "", machineId, watch: undefined },
        { timeoutMs: 20_000 },
      ),
    get: async (machineId: string) =>
      (await call(machines, machines.getMachine, { machineId }, { timeoutMs: 20_000 })).machine,
    close() {
      for (const client of [machines, leases, apps, orgs, hosts, reservations, reports]) client.close();
      for (const client of [registries, tokens, revocations, audit, platform, routes]) client.close();
    },
  };
}

/** A create as a test writes it. */
export interface CreateInput {
  readonly app?: string;
  readonly name?: string;
  readonly region?: string;
  readonly requestId?: string;
  readonly skipLaunch?: boolean;
  readonly leaseTtl?: Duration;
  readonly config?:
    | {
        readonly image?: string;
        readonly guest?: Partial<GuestConfig>;
        readonly services?: Partial<ServiceConfig>[];
        readonly checks?: Map<string, CheckConfig>;
        readonly env?: Readonly<Record<string, string>>;
        readonly metadata?: Readonly<Record<string, string>>;
      }
    | undefined;
}

/** A create that is fine, with whatever is to differ. */
function createRequest({ config, ...request }: CreateInput = {}, hasConfig = true): CreateMachineRequest {
  const maps = { env: mapToProto(config?.env), metadata: mapToProto(config?.metadata) };
  return CreateMachineRequest.fromPartial({
    app: "web",
    skipLaunch: true,
    ...request,
    ...(hasConfig ? { config: { image: "nginx", ...config, ...maps } } : {}),
  });
}

/** Makes an api know a host. */
export async function announce(client: Clients, host: FakeHost) {
  const request = AnnounceHostRequest.fromPartial({
    number: host.number,
    identity: host.identity,
    name: host.name,
    region: REGION,
    zone: "a",
    address: host.address,
    capacity: { cpus: 8, memoryMb: 16_384n, diskMb: 100_000n },
  });
  return call(client.reports, client.reports.announceHost, request, { timeoutMs: 20_000 });
}
