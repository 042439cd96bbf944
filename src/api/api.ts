import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Server } from "@grpc/grpc-js";
import type { SigningKeys } from "../lib/auth/keys.ts";
import { readRevocations } from "../lib/auth/revocation-file.ts";
import type { Revocations } from "../lib/auth/revocations.ts";
import { internalTokens, type TokenSource } from "../lib/auth/tokens.ts";
import { Fault } from "../lib/faults/fault.ts";
import { RefusalPace } from "../lib/grpc/server/edge/pace/refusal-pace.ts";
import { Semaphore } from "../lib/limits/semaphore.ts";
import type { Clock } from "../lib/runtime/clock.ts";
import type { Stack } from "../lib/runtime/lifecycle.ts";
import type { SealingKeys } from "../lib/sealing/sealing-keys.ts";
import { AcquireStore } from "./acquire/acquire-store.ts";
import { Acquirer } from "./acquire/acquirer.ts";
import { apiTools } from "./acquire/api-tools.ts";
import { AppStore } from "./apps/app-store.ts";
import { HostnameStore } from "./apps/hostname-store.ts";
import type { CreateRunner } from "./creates/create-runner.ts";
import { openCreates } from "./creates/open-creates.ts";
import type { ImageResolver } from "./creates/saga/create-tools.ts";
import type { GatedDatabase } from "./database/gated-database.ts";
import { LeaseStore } from "./database/lease-store.ts";
import { openDatabase } from "./database/open-database.ts";
import { presenceOf } from "./hosts/host-presence.ts";
import { HostStore } from "./hosts/host-store.ts";
import { hostdClient, hostdConnections } from "./hosts/hostd-client.ts";
import { Hosts } from "./hosts/hosts.ts";
import { openHostTable } from "./hosts/open-host-table.ts";
import { Leases } from "./leases/leases.ts";
import { MachineChanges } from "./machines/changes/changes.ts";
import { HistoryStore } from "./machines/history/history-store.ts";
import { ListStore } from "./machines/lists/list-store.ts";
import { MachineApps } from "./machines/machine-apps.ts";
import { MachineStore } from "./machines/machine-store.ts";
import { Machines } from "./machines/machines.ts";
import { recordMachine } from "./machines/record-machine.ts";
import { startMaintenance } from "./maintenance/maintenance.ts";
import { sweep } from "./maintenance/sweep.ts";
import { OrganizationStore } from "./orgs/organization-store.ts";
import { type SchedulerAddress, Schedulers } from "./regions/schedulers.ts";
import { LoginStore } from "./registries/login-store.ts";
import { type FleetLookup, Logins } from "./registries/logins.ts";
import type { LoginCheck } from "./registries/service-registries.ts";
import type { LookupSources } from "./rest/requests/lookups.ts";
import { openRoutes } from "./routes/open-routes.ts";
import type { RouteFeed } from "./routes/route-feed.ts";
import { LimitStore } from "./shares/limit-store.ts";
import { DEFAULT_RATES, type Rates } from "./shares/rates.ts";
import { Shares } from "./shares/shares.ts";
import { CallTurns, DatabaseTurns, DEFAULT_CALLS_AT_ONCE } from "./shares/turns/call-turns.ts";
import {
  CallsInProgress,
  DEFAULT_IN_PROGRESS_LIMITS,
  type InProgressLimits,
} from "./shares/turns/calls-in-progress.ts";
import { type CreateLimits, CreateSlots, DEFAULT_CREATE_LIMITS } from "./shares/turns/create-slots.ts";
import { RevocationSync } from "./tokens/revocation-sync.ts";
import { TokenStore } from "./tokens/token-store.ts";
import { UpdateStore } from "./updates/update-store.ts";
import { Updates } from "./updates/updates.ts";
import { ChangeFeed } from "./watches/change-feed.ts";
import { ChangeLog } from "./watches/change-log.ts";
import { addServices } from "./wiring-services.ts";
import { maintenanceTasks } from "./wiring-tasks.ts";

/** Reads of watches from the database: others need its connections too. */
const WATCH_READS = {
  permits: 3,
  maxWaiting: 20_000,
  full: () => new Fault("UNAVAILABLE", "DATABASE_UNAVAILABLE", "too many watches begin at once; try again"),
};

export interface ApiOptions {
  readonly region: string;
  readonly databaseUrl: string;
  readonly databaseConnections: number;
  /** Of every region in which it places machines. */
  readonly schedulers: readonly SchedulerAddress[];
  readonly stateDir: string;
  readonly keys: SigningKeys;
  /** Kept up to date with Postgres. */
  readonly revocations: Revocations;
  /** Folder of the audit log; undefined when there is none. */
  readonly auditDir: string | undefined;
  readonly images: ImageResolver;
  /** Keys that encrypt registry credentials. Without them no credentials can be stored. */
  readonly sealingKeys?: SealingKeys;
  /** Credentials of the fleet. Default: none. */
  readonly fleetCredentials?: FleetLookup;
  /** Domains whose names lead to apps by themselves, besides `localhost`. Default: none. */
  readonly proxyDomains?: readonly string[];
  /** Default: no registry is asked. */
  readonly checkLogin?: LoginCheck;
  readonly clock: Clock;
  /** Of every organisation that has no rates of its own. Default: {@link DEFAULT_RATES}. */
  readonly rates?: Rates;
  /** Default: {@link DEFAULT_IN_PROGRESS_LIMITS}. */
  readonly inProgressLimits?: InProgressLimits;
  /** Calls of an organisation that are worked on at a time. Default: {@link DEFAULT_CALLS_AT_ONCE}. */
  readonly callsAtOnce?: number;
  /** Default: {@link DEFAULT_CREATE_LIMITS}. */
  readonly createLimits?: CreateLimits;
  /** See `CreateTools.retryMs`. */
  readonly retryMs?: number;
  /** Between rounds of the reconciler. Default 2 s. */
  readonly reconcileMs?: number;
  /** Whether it sweeps and applies retention. Default true. */
  readonly sweeps?: boolean;
}

export interface Api {
  addTo(server: Server): void;
  readonly runner: CreateRunner;
  readonly feed: ChangeFeed;
  readonly routeFeed: RouteFeed;
  /** Finds the apps of machines for REST paths. */
  readonly lookups: LookupSources;
  readonly database: GatedDatabase;
  /** Of its calls to other services. */
  readonly token: TokenSource;
  readonly shares: Shares;
  readonly turns: CallTurns;
  readonly databaseTurns: DatabaseTurns;
  /** Takes the place of each call. */
  readonly inProgress: CallsInProgress;
  /** Does one round of the sweeper. */
  sweep(signal: AbortSignal): Promise<void>;
}

/** Opens an api. Adds everything that must be closed to `stack`. */
export async function openApi(options: ApiOptions, stack: Stack): Promise<Api> {
  const { clock, region, keys, revocations } = options;
  const database = openDatabase(options.databaseUrl, options.databaseConnections, stack);
  const token = internalTokens(keys, "api", clock);
  const table = await openHostTable(options.stateDir, stack);
  const connections = hostdConnections(token, clock);
  stack.add("hosts", () => connections.close());
  const hostd = hostdClient(connections, { clock, whereIs: (number) => table.get(number) });
  stack.add("waits", () => hostd.close());
  const schedulers = new Schedulers(options.schedulers, token, clock);
  stack.add("schedulers", () => schedulers.close());

  const hostStore = new HostStore(database);
  const apps = new AppStore(database);
  const changeLog = new ChangeLog(database);
  const reads = new Semaphore(WATCH_READS);
  const feed = new ChangeFeed(changeLog, clock);
  stack.add("watches", () => feed.close());
  const routes = openRoutes(database, changeLog, { reads, clock });
  stack.add("watches of routes", () => routes.feed.close());
  const hosts = new Hosts(table, hostStore, clock, hostd, {
    announcement: (address) => connections.reconnect(address),
    report: (isWhole) => {
      feed.wake();
      // Of states, proxies hear from the hosts first.
      if (isWhole) routes.feed.wake();
    },
  });
  const machineStore = new MachineStore(database);
  const where = { directory: hosts, store: machineStore };
  const record = recordMachine(machineStore);
  const machines = new Machines(where, hostd, record);
  const machineApps = new MachineApps(machines, clock.monotonicMs);
  const changes = new MachineChanges(where, hostd, record);
  const leases = new Leases(where, hostd);

  const logins = new Logins({
    store: new LoginStore(database),
    keys: options.sealingKeys,
    fleet: options.fleetCredentials ?? (async () => undefined),
    clock,
  });
  const shares = new Shares(options.rates ?? DEFAULT_RATES, clock.monotonicMs);
  const turns = new CallTurns(options.callsAtOnce ?? DEFAULT_CALLS_AT_ONCE, clock.monotonicMs);
  const databaseTurns = new DatabaseTurns();
  const callBounds = { shares, turns, databaseTurns, refusals: new RefusalPace(clock.monotonicMs) };
  const slots = new CreateSlots(
    options.createLimits ?? DEFAULT_CREATE_LIMITS,
    (org) => shares.limitsOf(org)?.createsInProgress,
  );
  const { creates, runner, sagas } = openCreates(
    {
      ...{ database, clock, machines, leases, slots, shares },
      tools: {
        images: options.images,
        credentials: logins,
        auctionsIn: (name) => schedulers.of(name),
        hostd,
        ensureHostKnown: (host) => hosts.ensureKnown(host),
        ...(options.retryMs === undefined ? {} : { retryMs: options.retryMs }),
      },
    },
    stack,
  );

  const updates = new Updates({
    ...{ where, hosts: hostd, images: options.images, credentials: logins, shares },
    store: new UpdateStore(database),
  });
  stack.add("updates", () => updates.close());
  const statusOf = (number: number) => {
    const host = table.get(number);
    return presenceOf(host, host ? connections.calls.stateOf(host.address) : "unsure", clock.now());
  };
  const acquireStore = new AcquireStore(database, randomUUID());
  const acquirer = new Acquirer({
    tools: apiTools({ machines, changes, leases, creates, sagas, database, shares, statusOf }),
    store: acquireStore,
  });

  const limits = new LimitStore(database);
  const runSweep = (signal: AbortSignal) => sweep({ table, hostd, machineStore, clock }, signal);
  const keepConnected = () => {
    const addresses = new Set(table.all().map((host) => host.address));
    connections.calls.keepConnected(addresses);
    connections.streams.retain(addresses);
    schedulers.keepConnected();
  };
  const orgs = new OrganizationStore(database);
  const tokens = new TokenStore(database);
  const revocationsFile = join(options.stateDir, "revocations.json");
  readRevocations(revocationsFile, revocations);
  const sync = new RevocationSync(tokens, revocations, revocationsFile);
  const refreshRevocations = () => sync.refresh();
  const tasks = maintenanceTasks(
    {
      ...{ hosts, limits, shares, acquirer, acquireStore, runner, sagas, hostd, database },
      ...{ keepConnected, refreshRevocations, sweep: runSweep },
    },
    options,
  );
  stack.add("maintenance", startMaintenance(tasks, new LeaseStore(database)));

  const parts = {
    ...{ machines, changes, updates, leases, machineStore, creates, acquirer },
    ...{ table, hosts, hostStore, hostd, schedulers, streams: connections.streams },
    ...{
      region,
      keys,
      clock,
      bounds: callBounds,
      tokens,
      revocations,
      refreshRevocations,
      auditDir: options.auditDir,
    },
    watches: { apps, log: changeLog, feed, reads, clock },
    routes,
    listStore: new ListStore(database),
    freshHosts: { directory: hosts, hosts: hostd, nowMs: () => clock.monotonicMs() },
    historyStore: new HistoryStore(database),
    apps,
    hostnames: new HostnameStore(database),
    proxyDomains: options.proxyDomains ?? [],
    orgs,
    ...{ logins, checkLogin: options.checkLogin ?? (async () => false) },
    statusOf,
  };
  return {
    addTo: (server) => addServices(server, parts),
    ...{
      feed,
      routeFeed: routes.feed,
      runner,
      database,
      token,
      shares,
      turns,
      databaseTurns,
      sweep: runSweep,
    },
    lookups: {
      appOf: (machineId, org, signal) => machineApps.find(machineId, org, signal),
      requireApp: async (app, org) => void (await apps.get(app, org)),
      nameOfOrg: (org) => orgs.nameOf(org),
    },
    inProgress: new CallsInProgress(options.inProgressLimits ?? DEFAULT_IN_PROGRESS_LIMITS),
  };
}
