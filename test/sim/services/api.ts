import { createHash, randomUUID } from "node:crypto";
import type { AcquireRequest } from "../../../src/api/acquire/acquire.ts";
import { AcquireStore } from "../../../src/api/acquire/acquire-store.ts";
import type { AcquireTools } from "../../../src/api/acquire/acquire-tools.ts";
import { Acquirer } from "../../../src/api/acquire/acquirer.ts";
import { apiTools } from "../../../src/api/acquire/api-tools.ts";
import { CreateRunner } from "../../../src/api/creates/create-runner.ts";
import { Creates } from "../../../src/api/creates/creates.ts";
import { resolveInDoubt } from "../../../src/api/creates/resolve-in-doubt.ts";
import type { CreateRun } from "../../../src/api/creates/saga/create-run.ts";
import { createSaga } from "../../../src/api/creates/saga/steps.ts";
import type { CreateRequest } from "../../../src/api/creates/store/create-state.ts";
import { IntentStore } from "../../../src/api/creates/store/intent-store.ts";
import type { SagaStore } from "../../../src/api/creates/store/saga-store.ts";
import type { Transactions } from "../../../src/api/database/gated-database.ts";
import { LeaseStore } from "../../../src/api/database/lease-store.ts";
import type { HostStore } from "../../../src/api/hosts/host-store.ts";
import { type HostEntry, HostTable } from "../../../src/api/hosts/host-table.ts";
import type { Hostd } from "../../../src/api/hosts/hostd.ts";
import { Hosts } from "../../../src/api/hosts/hosts.ts";
import { hostEventsFromProto } from "../../../src/api/hosts/service-host-reports.ts";
import { type LeaseRequest, Leases } from "../../../src/api/leases/leases.ts";
import {
  type CordonOptions,
  type Leased,
  MachineChanges,
  type MetadataChange,
  type RestartOptions,
  type SignalOptions,
} from "../../../src/api/machines/changes/changes.ts";
import type { UpdateRequest } from "../../../src/api/machines/changes/update.ts";
import { type MachineId, parseMachineId } from "../../../src/api/machines/ids/machine-id.ts";
import { MachineStore } from "../../../src/api/machines/machine-store.ts";
import {
  type LeaseOptions,
  Machines,
  type StartOptions,
  type Target,
} from "../../../src/api/machines/machines.ts";
import { recordMachine } from "../../../src/api/machines/record-machine.ts";
import { startMaintenance } from "../../../src/api/maintenance/maintenance.ts";
import { sweep } from "../../../src/api/maintenance/sweep.ts";
import type { Caller } from "../../../src/api/requests/caller.ts";
import { DEFAULT_RATES } from "../../../src/api/shares/rates.ts";
import { Shares } from "../../../src/api/shares/shares.ts";
import { CreateSlots, DEFAULT_CREATE_LIMITS } from "../../../src/api/shares/turns/create-slots.ts";
import { UpdateStore } from "../../../src/api/updates/update-store.ts";
import { Updates } from "../../../src/api/updates/updates.ts";
import type { ReportEventsRequest } from "../../../src/gen/windhover/admin/v1/hosts.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import type { RunConfig } from "../../../src/lib/oci/image/config.ts";
import type { Saga } from "../../../src/lib/saga/saga.ts";
import type { Call, Network } from "../world/network.ts";
import type { Life, Process } from "../world/world.ts";
import { auctionCalls, hostCalls } from "./api-calls.ts";
import { announcementOf } from "./host-service.ts";

const REFRESH_MS = 2_000;
const RECONCILE_MS = 2_000;
const SWEEP_MS = 30_000;
const SWEEP_LEASE_MS = 45_000;
/** As src/api/wiring-tasks.ts has it. */
const ACQUIRES_MS = 4_000;

/** What a user asks an api to create. */
export interface CreateCall {
  readonly request: CreateRequest;
  readonly requestId: string | undefined;
}

/** What a user asks of one machine, with its options. */
export type Use<Options = object> = Target & { readonly user: string; readonly options: Options };

/** What an api is told of the world around it. */
export interface ApiSurroundings {
  readonly net: Network;
  readonly database: Transactions;
  readonly schedulers: readonly Process[];
  readonly hostOf: (number: number) => Process;
  /** The file that its host table is kept in. */
  readonly file: Map<number, HostEntry>;
  /** The real saga, store and way to sweep, or ones whose guard is broken. */
  readonly saga: (saga: Saga<CreateRun>) => Saga<CreateRun>;
  readonly hostStore: (database: Transactions) => HostStore;
  readonly sagaStore: (database: Transactions) => SagaStore;
  readonly sweeps: (hostd: Hostd) => Hostd;
  readonly acquireTools: (tools: AcquireTools) => AcquireTools;
}

/** A life of an api: wired as src/api/api.ts does it, with other wires. */
export function startApi(life: Life, around: ApiSurroundings): void {
  const { net, database, schedulers, hostOf, file } = around;
  const { clock } = life.process;
  const hostd = hostCalls(net, hostOf);
  const table: HostTable = new HostTable(() => {
    for (const entry of table.all()) file.set(entry.number, entry);
  });
  for (const entry of [...file.values()]) table.learn(entry);
  const hosts = new Hosts(table, around.hostStore(database), clock, hostd);
  const machineStore = new MachineStore(database);
  const where = { directory: hosts, store: machineStore };
  const record = recordMachine(machineStore);
  const machines = new Machines(where, hostd, record);
  const changes = new MachineChanges(where, hostd, record);
  const leases = new Leases(where, hostd);
  const sagas = around.sagaStore(database);
  const auctions = auctionCalls(net, schedulers, clock);
  const images = {
    resolve: async (repository: string) => ({
      image: { registry: "r", repository, tag: "", digest: digestOf(repository) },
      run: RUN,
    }),
  };
  const credentials = { find: async () => undefined, forget: () => {} };
  const saga = createSaga({
    images,
    credentials,
    auctionsIn: () => auctions,
    hostd,
    random: () => BigInt(`0x${Buffer.from(life.world.random.bytes(5)).toString("hex")}`) >> 4n,
    ensureHostKnown: (host) => hosts.ensureKnown(host),
  });
  const runner = new CreateRunner(around.saga(saga), sagas, clock);
  const sweepParts = { table, hostd: around.sweeps(hostd), machineStore, clock };
  const makeName = () => `m-${Math.random()}`;
  const shares = new Shares(DEFAULT_RATES, clock.monotonicMs);
  const slots = new CreateSlots(DEFAULT_CREATE_LIMITS);
  const intents = new IntentStore(database);
  const creates = new Creates({ intents, sagas, runner, machines, leases, makeName, slots, shares });
  const updateStore = new UpdateStore(database);
  const updates = new Updates({ where, hosts: hostd, images, credentials, store: updateStore, shares });
  const acquirer = new Acquirer({
    tools: around.acquireTools(
      apiTools({ machines, changes, leases, creates, sagas, database, shares, statusOf: () => "ok" }),
    ),
    store: new AcquireStore(database, randomUUID()),
  });
  const tasks = [
    { name: "refresh hosts", intervalMs: REFRESH_MS, run: () => hosts.refresh() },
    { name: "reconcile", intervalMs: RECONCILE_MS, run: () => runner.reconcile() },
    {
      name: "resolve in-doubt",
      intervalMs: RECONCILE_MS,
      run: (signal: AbortSignal) => resolveInDoubt({ sagas, hostd }, signal),
    },
    { name: "settle acquires", intervalMs: ACQUIRES_MS, run: () => acquirer.maintain() },
    {
      name: "sweep",
      intervalMs: SWEEP_MS,
      leaseMs: SWEEP_LEASE_MS,
      run: (signal: AbortSignal) => sweep(sweepParts, signal),
    },
  ];
  startMaintenance(tasks, new LeaseStore(database));
  net.serve(life, {
    createMachine: ({ request, requestId }: CreateCall, { signal }) =>
      creates.create(request, requestId, callerOf(request.org, signal)),
    acquireMachine: (request: AcquireRequest, { signal }) =>
      acquirer.acquire(request, hashOf(request), callerOf(request.org, signal)),
    getMachine: (use: Use, call) => machines.get(...of(use, call)),
    startMachine: (use: Use<Pick<StartOptions, "leaseNonce">>, call) => {
      const [id, caller] = of(use, call);
      return machines.start(id, { watchMs: undefined, ...use.options }, caller);
    },
    stopMachine: (use: Use<LeaseOptions>, call) => {
      const [id, caller] = of(use, call);
      return machines.stop(id, { signal: "", ...use.options }, caller);
    },
    destroyMachine: (use: Use<LeaseOptions>, call) => {
      const [id, caller] = of(use, call);
      return machines.destroy(id, { force: true, ...use.options }, caller);
    },
    updateMachine: (use: Use<UpdateRequest>, call) => {
      const [id, caller] = of(use, call);
      return updates.update(id, use.options, caller);
    },
    restartMachine: (use: Use<RestartOptions>, call) => {
      const [id, caller] = of(use, call);
      return changes.restart(id, use.options, caller);
    },
    suspendMachine: (use: Use<Leased>, call) => {
      const [id, caller] = of(use, call);
      return changes.suspend(id, use.options, caller);
    },
    signalMachine: (use: Use<SignalOptions>, call) => {
      const [id, caller] = of(use, call);
      return changes.signal(id, use.options, caller);
    },
    setMachineCordon: (use: Use<CordonOptions>, call) => {
      const [id, caller] = of(use, call);
      return changes.setCordon(id, use.options, caller);
    },
    updateMetadata: (use: Use<MetadataChange>, call) => {
      const [id, caller] = of(use, call);
      return changes.updateMetadata(id, use.options, caller);
    },
    acquireLease: (use: Use<Omit<LeaseRequest, "owner">>, call) => {
      const [id, caller] = of(use, call);
      return leases.acquire(id, use.options, caller);
    },
    releaseLease: (use: Use<{ readonly nonce: string }>, call) => {
      const [id, caller] = of(use, call);
      return leases.release(id, use.options.nonce, caller);
    },
    announce: (identity: HostIdentity) => hosts.announce(announcementOf(identity)),
    report: async (request: ReportEventsRequest) =>
      Number(await hosts.report(request.hostNumber, request.identity, hostEventsFromProto(request))),
  });
}

function callerOf(org: string, signal: AbortSignal, subject = "test"): Caller {
  return { org, subject, signal };
}

function of({ machineId, org, user }: Use, { signal }: Call): readonly [MachineId, Caller] {
  return [idOf(machineId), callerOf(org, signal, user)];
}

function hashOf(request: AcquireRequest): Buffer {
  return createHash("sha256").update(JSON.stringify(request.steps)).digest();
}

function digestOf(repository: string): string {
  return `sha256:${repository.length.toString(16).repeat(64)}`;
}

/** How the image of all machines runs. */
const RUN: RunConfig = {
  ...{ entrypoint: ["/serve"], cmd: [], env: [], user: "", workingDir: "", exposedPorts: [] },
  ...{ stopSignal: "", labels: {} },
};

function idOf(text: string): MachineId {
  const id = parseMachineId(text);
  if (!id) throw new Error(`${text} is no machine id`);
  return id;
}
