import {
  AcquireMachineRequest,
  AcquireServiceClient,
  type AcquireStep,
} from "../../src/gen/windhover/machines/v1/acquire.ts";
import { call, connect } from "../../src/lib/grpc/client.ts";
import { configOf } from "../../test/support/clients.ts";
import { type Run, timed } from "../lib/benchmark.ts";
import { APP, type BenchFleet } from "../lib/fleet.ts";

/** More CPUs than a host of the fleet has twice: the second such machine finds it full. */
const LARGE = { cpuKind: "performance", cpus: 16, memoryMb: 131_072 };
const HOST_MEMORY_MB = 1_048_576;

/** Acquires that go straight to a machine, and those whose first step is on a full host, by turns. */
export async function measureAcquires(fleet: BenchFleet, run: Run): Promise<void> {
  const { clients, services } = fleet;
  const client = connect(AcquireServiceClient, services.api, { token: () => services.token });
  const first = await onHost(fleet, 1);
  const second = await onHost(fleet, 2);
  const filling: string[] = [];
  for (let used = 0; used < HOST_MEMORY_MB; used += LARGE.memoryMb)
    filling.push(await onHost(fleet, 1, LARGE));
  for (const id of filling) await clients.start(id);
  const start = (machineId: string): AcquireStep => ({
    step: { $case: "start", value: { machineId } },
    timeout: undefined,
  });
  const acquire = async (...ids: string[]) => {
    const request = AcquireMachineRequest.fromPartial({ steps: ids.map(start) });
    const { machine } = await call(client, client.acquireMachine, request, { timeoutMs: 10_000 });
    if (machine?.id !== second) throw new Error(`machine ${machine?.id} was acquired`);
  };
  const once = async () => {
    const direct = await timed(() => acquire(second));
    await clients.stop(second);
    const afterFull = await timed(() => acquire(first, second));
    await clients.stop(second);
    return { direct, afterFull };
  };
  const pairs = await run.repeat("acquires", run.runs, once, run.runs);
  run.report.addTimes({
    acquire_direct: pairs.map(({ direct }) => direct),
    acquire_after_full_host: pairs.map(({ afterFull }) => afterFull),
    acquire_adds: pairs.map(({ direct, afterFull }) => afterFull - direct),
  });
  client.close();
  for (const id of [...filling, first, second]) await clients.destroy(id, true);
}

async function onHost(fleet: BenchFleet, hostNumber: number, guest = undefined as typeof LARGE | undefined) {
  const config = { ...configOf(fleet.image), ...(guest ? { guest } : {}) };
  const placement = {
    hostLabels: new Map<string, string>(),
    hostNumber,
    strategy: 0 as const,
    distinctHosts: false,
  };
  return (await fleet.clients.create({ app: APP, config, placement, skipLaunch: true })).id;
}
