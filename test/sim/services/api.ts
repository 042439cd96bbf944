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
import { Leases } from "../../../src/api/leases/leases.ts";
import { parseMachineId } from "../../../src/api/machines/machine-id.ts";
import { MachineStore } from "../../../src/api/machines/machine-store.ts";
import { Machines, type Target } from "../../../src/api/machines/machines.ts";
import { startMaintenance } from "../../../src/api/maintenance/maintenance.ts";
import { sweep } from "../../../src/api/maintenance/sweep.ts";
import type { Caller } from "../../../src/api/requests/caller.ts";
import { CreateSlots, DEFAULT_CREATE_LIMITS } from "../../../src/api/shares/create-slots.ts";
import { DEFAULT_RATES } from "../../../src/api/shares/rates.ts";
import { Shares } from "../../../src/api/shares/shares.ts";
import type { ReportEventsRequest } from "../../../src/gen/windhover/admin/v1/hosts.ts";
import type { HostIdentity } from "../../../src/hostd/convert-host.ts";
import type { RunConfig } from "../../../src/lib/oci/image/config.ts";
import type { Saga } from "../../../src/lib/saga/saga.ts";
import type { Network } from "../world/network.ts";
import type { Life, Process } from "../world/world.ts";
import { auctionCalls, hostCalls } from "./api-calls.ts";
import { announcementOf } from "./host-service.ts";

const REFRESH_MS = 2_000;
const RECONCILE_MS = 2_000;
const SWEEP_MS = 30_000;
const SWEEP_LEASE_MS = 45_000;

/** What a user asks an api to create. */
export interface CreateCall {
  readonly request: CreateRequest;
  readonly requestId: string | undefined;
}

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
  const machines = new Machines(where, hostd);
  const leases = new Leases(where, hostd);
  const sagas = around.sagaStore(database);
  const auctions = auctionCalls(net, schedulers, clock);
  const saga = createSaga({
    images: {
      resolve: async (repository) => ({
        image: { registry: "r", repository, tag: "", digest: DIGEST },
        run: RUN,
      }),
    },
    credentials: { find: async () => undefined, forget: () => {} },
    auctionsIn: () => auctions,
    hostd,
    random: () => BigInt(`0x${Buffer.from(life.world.random.bytes(5)).toString("hex")}`) >> 4n,
    ensureHostKnown: (host) => hosts.ensureKnown(host),
  });
  const runner = new CreateRunner(around.saga(saga), sagas, clock);
  const sweepParts = { table, hostd: around.sweeps(hostd), machineStore, clock };
  const tasks = [
    { name: "refresh hosts", intervalMs: REFRESH_MS, run: () => hosts.refresh() },
    { name: "reconcile", intervalMs: RECONCILE_MS, run: () => runner.reconcile() },
    {
      name: "resolve in-doubt",
      intervalMs: RECONCILE_MS,
      run: (signal: AbortSignal) => resolveInDoubt({ sagas, hostd }, signal),
    },
    {
      name: "sweep",
      intervalMs: SWEEP_MS,
      leaseMs: SWEEP_LEASE_MS,
      run: (signal: AbortSignal) => sweep(sweepParts, signal),
    },
  ];
  startMaintenance(tasks, new LeaseStore(database));
  const makeName = () => `m-${Math.random()}`;
  const shares = new Shares(DEFAULT_RATES, clock.monotonicMs);
  const slots = new CreateSlots(DEFAULT_CREATE_LIMITS);
  const intents = new IntentStore(database);
  const creates = new Creates({ intents, sagas, runner, machines, leases, makeName, slots, shares });
  net.serve(life, {
    createMachine: ({ request, requestId }: CreateCall, { signal }) =>
      creates.create(request, requestId, callerOf(request.org, signal)),
    startMachine: ({ machineId, org }: Target, { signal }) =>
      machines.start(idOf(machineId), { watchMs: undefined }, callerOf(org, signal)),
    stopMachine: ({ machineId, org }: Target, { signal }) =>
      machines.stop(idOf(machineId), { signal: "" }, callerOf(org, signal)),
    destroyMachine: ({ machineId, org }: Target, { signal }) =>
      machines.destroy(idOf(machineId), { force: true }, callerOf(org, signal)),
    announce: (identity: HostIdentity) => hosts.announce(announcementOf(identity)),
    report: async (request: ReportEventsRequest) =>
      Number(await hosts.report(request.hostNumber, request.identity, hostEventsFromProto(request))),
  });
}

function callerOf(org: string, signal: AbortSignal): Caller {
  return { org, subject: "test", signal };
}

const DIGEST = `sha256:${"d".repeat(64)}`;

/** How the image of all machines runs. */
const RUN: RunConfig = {
  ...{ entrypoint: ["/serve"], cmd: [], env: [], user: "", workingDir: "", exposedPorts: [] },
  ...{ stopSignal: "", labels: {} },
};

function idOf(text: string) {
  const id = parseMachineId(text);
  if (!id) throw new Error(`${text} is no machine id`);
  return id;
}
