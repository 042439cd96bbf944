import { randomBytes, randomInt } from "node:crypto";
import { join } from "node:path";
import type * as grpc from "@grpc/grpc-js";
import {
  HostReportsServiceService,
  HostsServiceService,
  ReservationsServiceService,
} from "../gen/windhover/admin/v1/hosts.ts";
import { OrganizationsServiceService } from "../gen/windhover/admin/v1/organizations.ts";
import { AppsServiceService } from "../gen/windhover/machines/v1/apps.ts";
import { MachinesServiceService } from "../gen/windhover/machines/v1/machines.ts";
import { internalTokens } from "../lib/auth/tokens.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import { hasReason } from "../lib/runtime/fault.ts";
import { type Stack, startLoop } from "../lib/runtime/lifecycle.ts";
import { Database } from "../lib/stores/postgres.ts";
import { AppStore } from "./apps/app-store.ts";
import { Apps } from "./apps/apps.ts";
import { appsService } from "./apps/service-apps.ts";
import { CreateRunner } from "./creates/create-runner.ts";
import { Creates } from "./creates/creates.ts";
import { InDoubtResolver } from "./creates/in-doubt-resolver.ts";
import { CreateStore } from "./creates/intent-store.ts";
import { Reconciler } from "./creates/reconciler.ts";
import { SagaStore } from "./creates/saga-store.ts";
import type { ImageResolver } from "./creates/steps/context.ts";
import { checkReference } from "./creates/steps/images.ts";
import { createSaga } from "./creates/steps/steps.ts";
import { GatedDatabase } from "./database/gated-database.ts";
import { HostFile } from "./hosts/host-file.ts";
import { presenceOf } from "./hosts/host-presence.ts";
import { HostStore } from "./hosts/host-store.ts";
import { HostTable } from "./hosts/host-table.ts";
import { type HostAddress, hostMachines } from "./hosts/hostd-client.ts";
import { HostdClients } from "./hosts/hostd-connections.ts";
import { createHosts } from "./hosts/hostd-create.ts";
import { askHello } from "./hosts/hostd-hello.ts";
import { hostOperations } from "./hosts/hostd-operators.ts";
import { sweepHosts } from "./hosts/hostd-sweep.ts";
import { Hosts } from "./hosts/hosts.ts";
import { MachineLists } from "./machines/machine-lists.ts";
import { MachineStore } from "./machines/machine-store.ts";
import { Machines } from "./machines/machines.ts";
import { machinesService } from "./machines/service-machines.ts";
import { LeaseStore } from "./maintenance/lease-store.ts";
import { housekeep } from "./maintenance/retention.ts";
import { Sweeper } from "./maintenance/sweeper.ts";
import { sweeps } from "./metrics.ts";
import { HostLists } from "./operators/host-lists.ts";
import { Operators } from "./operators/operators.ts";
import { hostReportsService, hostsService } from "./operators/service-hosts.ts";
import { OrganizationStore } from "./orgs/organization-store.ts";
import { organizationsService } from "./orgs/service-organizations.ts";
import { type SchedulerAddress, Schedulers } from "./regions/schedulers.ts";
import { reservationsService } from "./regions/service-reservations.ts";
import { makeMachineName } from "./requests/names.ts";

/** The services of an api by their full names. */
export const SERVICES = [
  "windhover.machines.v1.MachinesService",
  "windhover.machines.v1.AppsService",
  "windhover.admin.v1.OrganizationsService",
  "windhover.admin.v1.HostsService",
  "windhover.admin.v1.HostReportsService",
  "windhover.admin.v1.ReservationsService",
];

const REFRESH_MS = 2_000;
const CONNECT_MS = 2_000;
const RECONCILE_MS = 2_000;
const SWEEP_MS = 30_000;
/** Outlives the pause between two rounds, and not much more: an api that died is to be replaced soon. */
const SWEEP_LEASE_MS = 45_000;
const HOUSEKEEP_MS = 60 * 60_000;

/** What an api is made of that differs between production and tests. */
export interface ApiOptions {
  readonly region: string;
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  /** Of every region it places machines in. */
  readonly schedulers: readonly SchedulerAddress[];
  readonly stateDir: string;
  /** PEM. */
  readonly signingKey: string;
  readonly images: ImageResolver;
  readonly clock: Clock;
  /** See `CreateTools.retryMs`. */
  readonly retryMs?: number;
  /** Between rounds of the reconciler, in milliseconds. Default 2 s. */
  readonly reconcileMs?: number;
  /** Whether it looks after the record in the background: sweeps, house-keeping. Default true. */
  readonly sweeps?: boolean;
}

/** An api, ready to be served. */
export interface Api {
  /** Adds its services to a server. */
  addTo(server: grpc.Server): void;
  readonly runner: CreateRunner;
  readonly reconciler: Reconciler;
  readonly sweeper: Sweeper;
  readonly database: GatedDatabase;
}

/** Puts an api together. What it opens goes onto `stack`, to be closed in reverse. */
export async function openApi(options: ApiOptions, stack: Stack): Promise<Api> {
  const { clock, signingKey } = options;
  const database = openDatabase(options, stack);
  const token = internalTokens(signingKey, "api", clock);
  const clients = new HostdClients(token, clock);
  stack.add("hosts", () => clients.close());
  const schedulers = new Schedulers(options.schedulers, token, clock);
  stack.add("schedulers", () => schedulers.close());

  const table = await openHostTable(options.stateDir, stack);
  const hosts = new Hosts(table, new HostStore(database), clock, askHello(clients));
  const keepConnected = () => {
    clients.keep(new Set(table.all().map((host) => host.address)));
    schedulers.keepConnected();
  };
  stack.add("connections", startLoop(CONNECT_MS, 0, keepConnected, { name: "keep connected" }));
  const refresh = quietly(() => hosts.refresh());
  stack.add("host refresh", startLoop(REFRESH_MS, REFRESH_MS / 4, refresh, { name: "refresh hosts" }));

  const records = new MachineStore(database);
  const machines = new Machines(hosts, hostMachines(clients), records);
  const apps = new AppStore(database);
  const creates = new CreateStore(database);
  const sagas = new SagaStore(database);
  const retry = options.retryMs === undefined ? {} : { retryMs: options.retryMs };
  const hostCalls = createHosts(clients);
  const tools = {
    images: options.images,
    auctionsIn: (region: string) => schedulers.in(region),
    hosts: hostCalls,
    random,
    meet: (host: HostAddress) => hosts.meet(host),
    ...retry,
  };
  const runner = new CreateRunner({ saga: createSaga(tools), sagas, creates, clock });
  const reconciler = new Reconciler(sagas, runner);
  stack.add("creates", () => runner.close());
  const reconcileMs = options.reconcileMs ?? RECONCILE_MS;
  const reconcile = quietly(() => reconciler.run());
  stack.add("reconciler", startLoop(reconcileMs, reconcileMs / 4, reconcile, { name: "reconcile" }));
  const inDoubtResolver = new InDoubtResolver(sagas, hostCalls);
  const resolve = quietly((signal) => inDoubtResolver.run(signal));
  stack.add(
    "in-doubt resolver",
    startLoop(reconcileMs, reconcileMs / 4, resolve, { name: "resolve-in-doubt" }),
  );

  const sweeper = new Sweeper({ table, hosts: sweepHosts(clients), machines: records, clock });
  if (options.sweeps ?? true) startCaring(database, sweeper, stack);

  const makeName = () => makeMachineName((below) => randomInt(below));
  const creating = new Creates({ creates, sagas, runner, machines, makeName });
  const operators = new Operators(
    table,
    () => hosts.refresh(),
    hostOperations(clients),
    hostMachines(clients),
  );
  const presence = (number: number) => {
    const host = table.get(number);
    return presenceOf(host, host ? clients.connection(host.address) : "unsure", clock.now());
  };
  const lists = new HostLists(table, new HostStore(database), schedulers, clock);
  const parts = {
    machines,
    creates: creating,
    lists: new MachineLists(records, apps, presence),
    regions: { own: options.region, known: schedulers.regions() },
    checkImage: checkReference,
  };
  return {
    addTo(server) {
      server.addService(MachinesServiceService, machinesService(parts));
      server.addService(AppsServiceService, appsService(apps, new Apps(apps, records, machines)));
      const organizations = organizationsService(new OrganizationStore(database), signingKey, clock);
      server.addService(OrganizationsServiceService, organizations);
      server.addService(HostsServiceService, hostsService(lists, operators));
      server.addService(ReservationsServiceService, reservationsService(schedulers, options.region));
      server.addService(HostReportsServiceService, hostReportsService(hosts));
    },
    runner,
    reconciler,
    sweeper,
    database,
  };
}

function openDatabase(options: ApiOptions, stack: Stack): GatedDatabase {
  const pool = new Database({
    url: options.databaseUrl,
    maxConnections: options.databaseConnections,
    applicationName: "windhover-api",
  });
  stack.add("postgres", () => pool.close());
  const database = new GatedDatabase(pool, options.databaseUrl);
  // Not waited for: without Postgres an api starts and stops machines all the same.
  stack.add("migrations", database.open());
  return database;
}

/** The table of hosts as an earlier life of this api left it; kept in its file from now on. */
async function openHostTable(stateDir: string, stack: Stack): Promise<HostTable> {
  const table: HostTable = new HostTable((change) => file.changed(change));
  const file = new HostFile(join(stateDir, "hosts.json"), () => table.all());
  for (const entry of await file.load()) table.learn(entry);
  stack.add("host table", () => file.flush());
  return table;
}

function startCaring(database: GatedDatabase, sweeper: Sweeper, stack: Stack): void {
  const leases = new LeaseStore(database);
  const sweep = quietly(async (signal) => {
    if (!(await leases.hold("sweeper", SWEEP_LEASE_MS))) return;
    await sweeper.run(signal);
    sweeps.inc();
  });
  stack.add("sweeper", startLoop(SWEEP_MS, SWEEP_MS / 4, sweep, { name: "sweep" }));
  const care = quietly(async () => {
    if (await leases.hold("housekeeping", HOUSEKEEP_MS)) await housekeep(database);
  });
  stack.add("housekeeping", startLoop(HOUSEKEEP_MS, HOUSEKEEP_MS / 4, care, { name: "housekeep" }));
}

/** A loop that needs the record has nothing to say about the record being away: the migration loop and the calls do. */
function quietly(task: (signal: AbortSignal) => Promise<void>): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    try {
      await task(signal);
    } catch (err) {
      if (!hasReason(err, "DATABASE_UNAVAILABLE")) throw err;
    }
  };
}

/** 36 random bits. */
function random(): bigint {
  return BigInt(`0x${randomBytes(5).toString("hex")}`) >> 4n;
}
