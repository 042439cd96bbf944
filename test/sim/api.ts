import { CreateRunner } from "../../src/api/creates/create-runner.ts";
import { Creates } from "../../src/api/creates/creates.ts";
import { InDoubtResolver } from "../../src/api/creates/in-doubt-resolver.ts";
import { CreateStore } from "../../src/api/creates/intent-store.ts";
import { Reconciler } from "../../src/api/creates/reconciler.ts";
import type { SagaStore } from "../../src/api/creates/saga-store.ts";
import type { CreateContext, CreateTools } from "../../src/api/creates/steps/context.ts";
import type { CreateRequest } from "../../src/api/creates/steps/create-state.ts";
import { createSaga } from "../../src/api/creates/steps/steps.ts";
import type { Transactions } from "../../src/api/database/gated-database.ts";
import type { HostStore } from "../../src/api/hosts/host-store.ts";
import { type HostEntry, HostTable } from "../../src/api/hosts/host-table.ts";
import type { SweepHosts } from "../../src/api/hosts/hostd-sweep.ts";
import { Hosts } from "../../src/api/hosts/hosts.ts";
import { eventFrom, machineFrom } from "../../src/api/machines/convert-machine.ts";
import { parseMachineId } from "../../src/api/machines/machine-id.ts";
import { MachineStore } from "../../src/api/machines/machine-store.ts";
import { Machines } from "../../src/api/machines/machines.ts";
import { LeaseStore } from "../../src/api/maintenance/lease-store.ts";
import { Sweeper } from "../../src/api/maintenance/sweeper.ts";
import type { ReportEventsRequest } from "../../src/gen/windhover/admin/v1/hosts.ts";
import type { HostIdentity } from "../../src/hostd/convert-host.ts";
import { hasReason } from "../../src/lib/runtime/fault.ts";
import { startLoop } from "../../src/lib/runtime/lifecycle.ts";
import type { Saga } from "../../src/lib/saga/saga.ts";
import { auctionCalls, hostCalls } from "./api-calls.ts";
import { entryOf, type Target } from "./host-service.ts";
import type { Network } from "./network.ts";
import type { Life, Process } from "./world.ts";

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
  readonly saga: (saga: Saga<CreateContext>) => Saga<CreateContext>;
  readonly hostStore: (database: Transactions) => HostStore;
  readonly sagaStore: (database: Transactions) => SagaStore;
  readonly sweeps: (hosts: SweepHosts) => SweepHosts;
}

/** A life of an api: wired as src/api/api.ts does it, with other wires. */
export function startApi(life: Life, around: ApiSurroundings): void {
  const { net, database, schedulers, hostOf, file } = around;
  const { clock } = life.process;
  const calls = hostCalls(net, hostOf);
  const table: HostTable = new HostTable(() => {
    for (const entry of table.all()) file.set(entry.number, entry);
  });
  for (const entry of [...file.values()]) table.learn(entry);
  const hosts = new Hosts(table, around.hostStore(database), clock, calls.hello);
  const records = new MachineStore(database);
  const machines = new Machines(hosts, calls.machines, records);
  const sagas = around.sagaStore(database);
  const creates = new CreateStore(database);
  const auctions = auctionCalls(net, schedulers, clock);
  const tools: CreateTools = {
    images: {
      resolve: async (reference) => ({ registry: "r", repository: reference, tag: "", digest: DIGEST }),
    },
    auctionsIn: () => auctions,
    hosts: calls.creates,
    random: () => BigInt(`0x${Buffer.from(life.world.random.bytes(5)).toString("hex")}`) >> 4n,
    meet: (host) => hosts.meet(host),
  };
  const runner = new CreateRunner({ saga: around.saga(createSaga(tools)), sagas, creates, clock });
  const reconciler = new Reconciler(sagas, runner);
  const inDoubtResolver = new InDoubtResolver(sagas, calls.creates);
  const sweeper = new Sweeper({ table, hosts: around.sweeps(calls.sweeps), machines: records, clock });
  const leases = new LeaseStore(database);
  const sweep = async (signal: AbortSignal): Promise<void> => {
    if (await leases.hold("sweeper", SWEEP_LEASE_MS)) await sweeper.run(signal);
  };
  loop("refresh hosts", REFRESH_MS, () => hosts.refresh());
  loop("reconcile", RECONCILE_MS, () => reconciler.run());
  loop("resolve-in-doubt", RECONCILE_MS, (signal) => inDoubtResolver.run(signal));
  loop("sweep", SWEEP_MS, sweep);
  const creating = new Creates({ creates, sagas, runner, machines, makeName: () => `m-${Math.random()}` });
  net.serve(life, {
    createMachine: ({ request, requestId }: CreateCall, { signal }) =>
      creating.create(request, requestId, { org: request.org, signal }),
    startMachine: ({ id, org }: Target, { signal }) => machines.start(idOf(id), undefined, { org, signal }),
    stopMachine: ({ id, org }: Target, { signal }) =>
      machines.stop(idOf(id), { signal: "" }, { org, signal }),
    destroyMachine: ({ id, org }: Target, { signal }) => machines.destroy(idOf(id), true, { org, signal }),
    announce: (said: HostIdentity) => hosts.announce(entryOf(said)),
    report: async ({ hostNumber, identity, events }: ReportEventsRequest) => {
      const told = events.flatMap(({ sequence, machine, event }) =>
        machine
          ? [{ sequence, machine: machineFrom(machine), ...(event ? { event: eventFrom(event) } : {}) }]
          : [],
      );
      return Number(await hosts.report(hostNumber, identity, told));
    },
  });
}

const DIGEST = `sha256:${"d".repeat(64)}`;

function loop(name: string, ms: number, task: (signal: AbortSignal) => Promise<void>): void {
  const quietly = async (signal: AbortSignal): Promise<void> => {
    try {
      await task(signal);
    } catch (err) {
      if (!hasReason(err, "DATABASE_UNAVAILABLE")) throw err;
    }
  };
  startLoop(ms, ms / 4, quietly, { name });
}

function idOf(text: string) {
  const id = parseMachineId(text);
  if (!id) throw new Error(`${text} is no machine id`);
  return id;
}
