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
import { type MachinesServiceServer, MachinesServiceService } from "../gen/windhover/machines/v1/machines.ts";
import { internalTokens } from "../lib/auth/tokens.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import { Database } from "../lib/stores/postgres.ts";
import { AppStore } from "./apps/app-store.ts";
import { Apps } from "./apps/apps.ts";
import { appsService } from "./apps/service-apps.ts";
import { CreateRunner } from "./creates/create-runner.ts";
import { Creates } from "./creates/creates.ts";
import { InDoubtResolver } from "./creates/in-doubt-resolver.ts";
import { Reconciler } from "./creates/reconciler.ts";
import type { ImageResolver } from "./creates/saga/create-tools.ts";
import { createSaga } from "./creates/saga/steps.ts";
import { createsService } from "./creates/service-creates.ts";
import { IntentStore } from "./creates/store/intent-store.ts";
import { SagaStore } from "./creates/store/saga-store.ts";
import { GatedDatabase } from "./database/gated-database.ts";
import { LeaseStore } from "./database/lease-store.ts";
import { HostFile } from "./hosts/host-file.ts";
import { presenceOf } from "./hosts/host-presence.ts";
import { HostStore } from "./hosts/host-store.ts";
import { HostTable } from "./hosts/host-table.ts";
import { HostdClient } from "./hosts/hostd-client.ts";
import { HostdConnections } from "./hosts/hostd-connections.ts";
import { Hosts } from "./hosts/hosts.ts";
import { hostReportsService } from "./hosts/service-host-reports.ts";
import { MachineLists } from "./machines/machine-lists.ts";
import { MachineStore } from "./machines/machine-store.ts";
import { Machines } from "./machines/machines.ts";
import { machinesService } from "./machines/service-machines.ts";
import { startMaintenance, type Task } from "./maintenance/maintenance.ts";
import { applyRetention } from "./maintenance/retention.ts";
import { Sweeper } from "./maintenance/sweeper.ts";
import { HostLists } from "./operators/host-lists.ts";
import { Operators } from "./operators/operators.ts";
import { hostsService } from "./operators/service-hosts.ts";
import { OrganizationStore } from "./orgs/organization-store.ts";
import { organizationsService } from "./orgs/service-organizations.ts";
import { type SchedulerAddress, Schedulers } from "./regions/schedulers.ts";
import { reservationsService } from "./regions/service-reservations.ts";
import { makeMachineName } from "./requests/names.ts";

/** The full names of the services of an api. */
export const SERVICES = [
  "windhover.machines.v1.MachinesService",
  "windhover.machines.v1.AppsService",
  "windhover.admin.v1.OrganizationsService",
  "windhover.admin.v1.HostsService",
  "windhover.admin.v1.HostReportsService",
  "windhover.admin.v1.ReservationsService",
];

const CONNECT_INTERVAL_MS = 2_000;
const REFRESH_INTERVAL_MS = 2_000;
const RECONCILE_INTERVAL_MS = 2_000;
const SWEEP_INTERVAL_MS = 30_000;
/** Longer than the interval, and little more: another api takes over soon after a crash. */
const SWEEP_LEASE_MS = 45_000;
const RETENTION_INTERVAL_MS = 60 * 60_000;

/** The options of an api. */
export interface ApiOptions {
  readonly region: string;
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  /** Of every region in which it places machines. */
  readonly schedulers: readonly SchedulerAddress[];
  readonly stateDir: string;
  /** PEM. */
  readonly signingKey: string;
  readonly images: ImageResolver;
  readonly clock: Clock;
  /** See `CreateTools.retryMs`. */
  readonly retryMs?: number;
  /** Between rounds of the reconciler. Default 2 s. */
  readonly reconcileMs?: number;
  /** Whether it sweeps and applies retention. Default true. */
  readonly sweeps?: boolean;
}

/** An api that is ready to be served. */
export interface Api {
  /** Adds its services to a server. */
  addTo(server: grpc.Server): void;
  readonly runner: CreateRunner;
  readonly reconciler: Reconciler;
  readonly sweeper: Sweeper;
  readonly database: GatedDatabase;
}

/** Opens an api. Adds everything that must be closed to `stack`. */
export async function openApi(options: ApiOptions, stack: Stack): Promise<Api> {
  const { clock, signingKey } = options;
  const database = openDatabase(options, stack);
  const leases = new LeaseStore(database);
  const token = internalTokens(signingKey, "api", clock);
  const connections = new HostdConnections(token, clock);
  stack.add("hosts", () => connections.close());
  const hostd = new HostdClient(connections);
  const schedulers = new Schedulers(options.schedulers, token, clock);
  stack.add("schedulers", () => schedulers.close());

  const table = await openHostTable(options.stateDir, stack);
  const hostStore = new HostStore(database);
  const hosts = new Hosts(table, hostStore, clock, hostd);
  const machineStore = new MachineStore(database);
  const machines = new Machines(hosts, hostd, machineStore);

  const sagas = new SagaStore(database);
  const saga = createSaga({
    images: options.images,
    auctionsIn: (region) => schedulers.of(region),
    hosts: hostd,
    random,
    ensureHostKnown: (host) => hosts.ensureKnown(host),
    ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
  });
  const runner = new CreateRunner(saga, sagas, clock);
  stack.add("creates", () => runner.close());
  const reconciler = new Reconciler(sagas, runner);
  const inDoubtResolver = new InDoubtResolver(sagas, hostd);
  const sweeper = new Sweeper(table, hostd, machineStore, clock);

  const keepConnected = () => {
    connections.keepConnected(new Set(table.all().map((host) => host.address)));
    schedulers.keepConnected();
  };
  const reconcileMs = options.reconcileMs ?? RECONCILE_INTERVAL_MS;
  const tasks: Task[] = [
    { name: "connect", intervalMs: CONNECT_INTERVAL_MS, run: keepConnected },
    { name: "refresh hosts", intervalMs: REFRESH_INTERVAL_MS, run: () => hosts.refresh() },
    { name: "reconcile", intervalMs: reconcileMs, run: () => reconciler.run() },
    { name: "resolve in-doubt", intervalMs: reconcileMs, run: (signal) => inDoubtResolver.run(signal) },
  ];
  if (options.sweeps ?? true) {
    const retentionMs = RETENTION_INTERVAL_MS;
    tasks.push(
      {
        name: "sweep",
        intervalMs: SWEEP_INTERVAL_MS,
        leaseMs: SWEEP_LEASE_MS,
        run: (signal) => sweeper.run(signal),
      },
      {
        name: "retention",
        intervalMs: retentionMs,
        leaseMs: retentionMs,
        run: () => applyRetention(database),
      },
    );
  }
  stack.add("maintenance", startMaintenance(tasks, leases));

  const apps = new AppStore(database);
  const makeName = () => makeMachineName((below) => randomInt(below));
  const creates = new Creates({ intents: new IntentStore(database), sagas, runner, machines, makeName });
  const statusOf = (number: number) => {
    const host = table.get(number);
    return presenceOf(host, host ? connections.stateOf(host.address) : "unsure", clock.now());
  };
  const machinesServer: MachinesServiceServer = {
    ...createsService(creates, { own: options.region, known: schedulers.regions() }),
    ...machinesService(machines, new MachineLists(machineStore, apps, statusOf)),
  };
  const operators = new Operators(table, () => hosts.refresh(), hostd);
  const hostLists = new HostLists(table, hostStore, schedulers);
  return {
    addTo(server) {
      const orgs = new OrganizationStore(database);
      server.addService(MachinesServiceService, machinesServer);
      server.addService(AppsServiceService, appsService(apps, new Apps(apps, machineStore, machines)));
      server.addService(OrganizationsServiceService, organizationsService(orgs, signingKey, clock));
      server.addService(HostsServiceService, hostsService(hostLists, operators, clock));
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
  // Not waited for: machines start and stop without Postgres.
  stack.add("migrations", database.open());
  return database;
}

/** Opens the host table with the content of its file, which follows it from now on. */
async function openHostTable(stateDir: string, stack: Stack): Promise<HostTable> {
  const table: HostTable = new HostTable((change) => file.changed(change));
  const file = new HostFile(join(stateDir, "hosts.json"), () => table.all());
  for (const entry of await file.load()) table.learn(entry);
  stack.add("host table", () => file.flush());
  return table;
}

/** Returns 36 random bits. */
function random(): bigint {
  return BigInt(`0x${randomBytes(5).toString("hex")}`) >> 4n;
}
