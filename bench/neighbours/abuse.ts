/** The abuser: a process of its own that makes calls as fast as they are answered. */
import { constants, setPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { HealthClient } from "../../src/gen/grpc/health/v1/health.ts";
import { ServerReflectionClient } from "../../src/gen/grpc/reflection/v1/reflection.ts";
import { MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import {
  ListMachinesRequest,
  MachinesServiceClient,
  StartMachineRequest,
  StopMachineRequest,
  WaitMachineRequest,
} from "../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../src/lib/faults/fault.ts";
import { call, connect, openStream } from "../../src/lib/grpc/client.ts";
import { configOf } from "../../test/support/clients.ts";
import { serve } from "../lib/child.ts";

/** What to do, without end. */
export type AbuseJob =
  | { readonly kind: "waits"; readonly ids: readonly string[]; readonly count: number }
  | {
      readonly kind: "watched_starts" | "start_flood" | "tails" | "whole_logs";
      readonly ids: readonly string[];
      readonly atOnce: number;
    }
  | ({ readonly kind: "failing_creates"; readonly image: string } & Creates & {
        readonly env: Readonly<Record<string, string>>;
      })
  | ({ readonly kind: "slow_pulls"; readonly images: readonly string[] } & Creates)
  | { readonly kind: "lists"; readonly atOnce: number }
  | { readonly kind: "open_methods"; readonly addresses: readonly string[] };

interface Creates {
  readonly app: string;
  readonly atOnce: number;
}

/** Calls that have ended, by `ok` or the reason of their fault, and those under way. */
export interface AbuseCounts {
  readonly ended: Readonly<Record<string, number>>;
  readonly underWay: number;
}

export type AbuseFunctions = typeof functions;

const TIMEOUT_MS = 600_000;
/** Waits opened at a time, and the time between. */
const [WAITS_PER_TICK, TICK_MS] = [20, 10];
/** Streams of health and reflection that stay open, and calls at once, for each address. */
const [OPEN_WATCHES, OPEN_CALLS] = [1_000, 16];
/** Few enough for the connection that they share. */
const CONNECTIONS = 2;

const ended = new Map<string, number>();
let underWay = 0;

const functions = {
  begin(api: string, token: string, job: AbuseJob): void {
    // Elsewhere the abuser has processors of its own.
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
    const clients = Array.from({ length: CONNECTIONS }, () =>
      connect(MachinesServiceClient, api, { token: () => token, ownConnection: true }),
    );
    abuse(clients, job);
  },
  counts: (): AbuseCounts => ({ ended: Object.fromEntries(ended), underWay }),
};
serve(functions);

function abuse(clients: readonly MachinesServiceClient[], job: AbuseJob): void {
  if (job.kind === "open_methods") {
    for (const address of job.addresses) abuseOpenMethods(address);
    return;
  }
  const once = onceOf(job);
  const on = (i: number, round: number) =>
    once(clients[i % clients.length] as MachinesServiceClient, i, round);
  if (job.kind === "waits") void keepOpen(job.count, (i) => on(i, 0));
  else forEver(job.atOnce, on);
}

type Once = (client: MachinesServiceClient, worker: number, round: number) => Promise<unknown>;

/** Returns what one worker does again and again. */
function onceOf(job: Exclude<AbuseJob, { kind: "open_methods" }>): Once {
  const scope = { timeoutMs: TIMEOUT_MS };
  const idOf = (ids: readonly string[], worker: number) => ids[worker % ids.length] ?? "";
  switch (job.kind) {
    case "waits":
      return (client, worker) => {
        const wanted = { machineId: idOf(job.ids, worker), states: [MachineState.STOPPED] };
        const request = WaitMachineRequest.fromPartial({ ...wanted, timeout: { seconds: 300n, nanos: 0 } });
        return call(client, client.waitMachine, request, scope);
      };
    case "watched_starts":
    case "start_flood":
      return async (client, worker) => {
        const machineId = idOf(job.ids, worker);
        const seconds = job.kind === "watched_starts" ? 10n : 0n;
        const start = StartMachineRequest.fromPartial({ machineId, watch: { seconds, nanos: 0 } });
        await call(client, client.startMachine, start, scope);
        await call(client, client.stopMachine, StopMachineRequest.fromPartial({ machineId }), scope);
      };
    case "failing_creates":
      return (client) => create(client, job.app, job.image, job.env);
    case "slow_pulls":
      return (client, worker, round) => {
        const image = job.images[(worker + round * job.atOnce) % job.images.length] ?? "";
        return create(client, job.app, image, {});
      };
    case "tails":
    case "whole_logs":
      return async (client, worker) => {
        const tail = job.kind === "tails" ? 1 : undefined;
        const request = {
          machineId: idOf(job.ids, worker),
          follow: false,
          tail,
          since: undefined,
          afterSequence: 0n,
        };
        for await (const _ of openStream(client, client.streamLogs, request, scope));
      };
    case "lists":
      return (client) =>
        call(client, client.listMachines, ListMachinesRequest.fromPartial({ pageSize: 1_000 }), scope);
  }
}

function create(
  client: MachinesServiceClient,
  app: string,
  image: string,
  env: Readonly<Record<string, string>>,
) {
  const config = configOf(image, { env: { ...env } });
  const request = {
    app,
    config,
    name: "",
    region: "",
    skipLaunch: true,
    cordoned: false,
    requestId: "",
    placement: undefined,
    leaseTtl: undefined,
  };
  return call(client, client.createMachine, request, { timeoutMs: TIMEOUT_MS });
}

function abuseOpenMethods(address: string): void {
  const health = connect(HealthClient, address, { ownConnection: true });
  const reflection = connect(ServerReflectionClient, address, { ownConnection: true });
  const scope = { timeoutMs: TIMEOUT_MS };
  void keepOpen(OPEN_WATCHES, async () => {
    for await (const _ of openStream(health, health.watch, { service: "" }, scope));
  });
  forEver(OPEN_CALLS, () => call(health, health.check, { service: "" }, scope));
  forEver(OPEN_CALLS, () => list(reflection));
}

/** Lists the services by reflection, once. */
function list(client: ServerReflectionClient): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stream = client.serverReflectionInfo();
  stream.on("data", () => stream.end());
  stream.on("end", resolve);
  stream.on("error", reject);
  stream.write({ host: "", messageRequest: { $case: "listServices", value: "" } });
  return promise;
}

/** Calls `once` again and again, `atOnce` at a time. */
function forEver(atOnce: number, once: (worker: number, round: number) => Promise<unknown>): void {
  for (let worker = 0; worker < atOnce; worker++)
    void (async () => {
      for (let round = 0; ; round++) await counted(() => once(worker, round));
    })();
}

/** Opens calls until `count` are open, and opens those that ended again. */
async function keepOpen(count: number, open: (i: number) => Promise<unknown>): Promise<never> {
  let isOpen = 0;
  for (let i = 0; ; await delay(TICK_MS)) {
    for (let n = 0; n < WAITS_PER_TICK && isOpen < count; n++, i++) {
      isOpen += 1;
      void counted(() => open(i)).finally(() => {
        isOpen -= 1;
      });
    }
  }
}

async function counted(work: () => Promise<unknown>): Promise<void> {
  let outcome = "ok";
  underWay += 1;
  try {
    await work();
  } catch (err) {
    outcome = err instanceof Fault ? err.reason : String(err).slice(0, 60);
    // A call that fails at once must not keep the process from reading answers.
    await new Promise((resolve) => setImmediate(resolve));
  }
  underWay -= 1;
  ended.set(outcome, (ended.get(outcome) ?? 0) + 1);
}
