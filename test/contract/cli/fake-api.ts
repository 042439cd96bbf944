import {
  type AuditEntry,
  AuditServiceService,
  type ReadAuditRequest,
} from "../../../src/gen/windhover/admin/v1/audit.ts";
import {
  type DrainHostResponse,
  type Host,
  HostsServiceService,
  ReservationsServiceService,
} from "../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Organization,
  OrganizationsServiceService,
} from "../../../src/gen/windhover/admin/v1/organizations.ts";
import { type App, AppsServiceService } from "../../../src/gen/windhover/machines/v1/apps.ts";
import {
  type LogEntry,
  Machine,
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../src/gen/windhover/machines/v1/machine.ts";
import {
  type CreateMachineRequest,
  MachinesServiceService,
  type WatchCreateResponse,
} from "../../../src/gen/windhover/machines/v1/machines.ts";
import { Scheduling } from "../../../src/gen/windhover/scheduler/v1/host.ts";
import type { Reservation } from "../../../src/gen/windhover/scheduler/v1/scheduler.ts";
import { TokenVerifier } from "../../../src/lib/auth/auth.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { untilDraining } from "../../../src/lib/grpc/draining.ts";
import { type CallContext, serverStream, unary } from "../../../src/lib/grpc/server/rpc.ts";
import { createServer, type Running, serve } from "../../../src/lib/grpc/server/serve.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import { keys } from "../traces/support.ts";
import { type Answer, appsService, orgsService } from "./fake-apps.ts";

/** A scripted API with machines in memory, over real gRPC. */
export class FakeApi {
  readonly machines = new Map<string, Machine>();
  readonly apps = new Map<string, App>();
  readonly orgs = new Map<string, Organization>();
  readonly logs: LogEntry[] = [];
  hosts: Host[] = [];
  reservations: Reservation[] = [];
  /** What `DrainHost` tells. */
  drained: DrainHostResponse[] = [];
  /** A drain does not end. */
  drainsHang = false;
  readonly audited: AuditEntry[] = [];
  /** What the next call of a method fails with. */
  readonly failures = new Map<string, Fault>();
  readonly requests: { method: string; request: unknown; traceparent: string }[] = [];
  /** What `WatchCreate` tells. */
  steps: WatchCreateResponse[] = [];
  /** Waits do not end. */
  waitsHang = false;
  /** How long a create takes, in milliseconds. */
  createMs = 0;
  /** A create ends only after `WatchCreate` has sent everything. */
  endsCreatesWhenWatched = false;
  #watched = Promise.withResolvers<void>();
  port = 0;
  #running: Running | undefined;

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Listens; again at the same port after {@link stop}. */
  async start(): Promise<void> {
    const answer: Answer = (...call) => this.#answer(...call);
    const server = createServer({ verifier: new TokenVerifier(keys.publicKey) });
    server.addService(MachinesServiceService, this.#machinesService());
    server.addService(AppsServiceService, appsService(this.apps, answer));
    server.addService(OrganizationsServiceService, orgsService(this.orgs, answer));
    server.addService(HostsServiceService, {
      listHosts: unary((_req, ctx) => this.#answer("listHosts", {}, ctx, () => ({ hosts: this.hosts }))),
      setHostScheduling: unary((req, ctx) =>
        this.#answer("setHostScheduling", req, ctx, () => ({ hostNumber: 1, previous: Scheduling.OPEN })),
      ),
      drainHost: serverStream(
        async function* (this: FakeApi, req: { host: string }, ctx: CallContext) {
          this.#answer("drainHost", req, ctx, () => undefined);
          yield* this.drained;
          if (this.drainsHang) await sleep(60_000, ctx.signal);
        }.bind(this),
      ),
    });
    server.addService(AuditServiceService, {
      readAudit: serverStream(
        async function* (this: FakeApi, req: ReadAuditRequest, ctx: CallContext) {
          this.#answer("readAudit", req, ctx, () => undefined);
          const since = req.sinceTime?.getTime() ?? 0;
          yield { entries: this.audited.filter(({ time }) => (time?.getTime() ?? 0) >= since) };
          if (req.follow) await sleep(60_000, ctx.signal);
        }.bind(this),
      ),
    });
    server.addService(ReservationsServiceService, {
      listReservations: unary((req, ctx) =>
        this.#answer("listReservations", req, ctx, () => ({
          reservations: this.reservations,
          total: this.reservations.length,
          nextPageToken: "",
        })),
      ),
    });
    this.#running = await serve(server, this.address, 50);
    this.port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
  }

  /** Forgets everything that tests have done. */
  reset(): void {
    for (const map of [this.machines, this.apps, this.orgs, this.failures]) map.clear();
    this.logs.length = 0;
    this.requests.length = 0;
    this.steps = [];
    this.hosts = [];
    this.reservations = [];
    this.drained = [];
    this.drainsHang = false;
    this.audited.length = 0;
    this.createMs = 0;
    this.waitsHang = false;
    this.endsCreatesWhenWatched = false;
    this.#watched = Promise.withResolvers();
  }

  /** Adds a machine. */
  add(fields: Partial<Machine> & { id: string }): Machine {
    const machine = {
      ...Machine.create(),
      name: `m-${fields.id.slice(-2)}`,
      app: "web",
      org: "acme",
      region: "ord",
      host: "ord-1",
      state: MachineState.STOPPED,
      generation: 7n,
      hostStatus: 1 as const,
      createTime: new Date(Date.now() - 3_600_000),
      config: {
        ...MachineConfig.create(),
        image: "127.0.0.1:5000/hello:1",
        guest: { cpuKind: "shared", cpus: 1, memoryMb: 256 },
        env: new Map([["MixedCase_KEY", "v"]]),
        init: undefined,
        services: [{ protocol: "tcp", internalPort: 8080 }],
        stopConfig: { signal: "SIGTERM", timeout: { seconds: 2n, nanos: 500_000_000 } },
        metadata: new Map<string, string>(),
      },
      ...fields,
    };
    this.machines.set(machine.id, machine);
    return machine;
  }

  #answer<T>(method: string, request: unknown, ctx: CallContext, fn: () => T): T {
    const traceparent = ctx.metadata.get("traceparent")[0]?.toString() ?? "";
    this.requests.push({ method, request, traceparent });
    const failure = this.failures.get(method);
    if (failure) {
      this.failures.delete(method);
      throw failure;
    }
    return fn();
  }

  #machine(id: string): Machine {
    const machine = this.machines.get(id);
    if (!machine)
      throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
    return machine;
  }

  #change(id: string, fields: Partial<Machine>): Machine {
    const machine = { ...this.#machine(id), ...fields };
    this.machines.set(id, machine);
    return machine;
  }

  #machinesService() {
    const { STARTED, STOPPED, DESTROYED } = MachineState;
    return {
      createMachine: unary(async (req: CreateMachineRequest, ctx) => {
        this.#answer("createMachine", req, ctx, () => undefined);
        const id = "0000a1b2c3d4e5";
        const repeated = this.machines.has(id);
        await sleep(this.createMs, ctx.signal);
        if (this.endsCreatesWhenWatched) await this.#watched.promise;
        ctx.signal.throwIfAborted();
        const state = req.skipLaunch ? MachineState.CREATED : STARTED;
        const serviceAddresses = [{ protocol: "tcp", internalPort: 8080, address: "127.0.0.1:20001" }];
        const fields = { state, name: req.name || "made-up", config: req.config, serviceAddresses };
        return {
          machine: this.add({ id, ...fields, lastStartPath: req.skipLaunch ? "" : "warm" }),
          repeated,
        };
      }),
      watchCreate: serverStream(
        async function* (this: FakeApi) {
          yield* this.steps;
          this.#watched.resolve();
        }.bind(this),
      ),
      getMachine: unary((req: { machineId: string }, ctx) =>
        this.#answer("getMachine", req, ctx, () => ({ machine: this.#machine(req.machineId) })),
      ),
      listMachines: unary((req: { app: string; pageSize: number; pageToken: string }, ctx) =>
        this.#answer("listMachines", req, ctx, () => {
          // Two to a page, so that paging is used.
          const all = [...this.machines.values()].filter((m) => req.app === "" || m.app === req.app);
          const from = Number(req.pageToken || 0);
          const nextPageToken = from + 2 < all.length ? String(from + 2) : "";
          return { machines: all.slice(from, from + 2), nextPageToken };
        }),
      ),
      startMachine: unary((req: { machineId: string }, ctx) =>
        this.#answer("startMachine", req, ctx, () => {
          const before = this.#machine(req.machineId).state;
          const machine = this.#change(req.machineId, { state: STARTED });
          return { machine, previousState: before, alreadyStarted: before === STARTED, startPath: "warm" };
        }),
      ),
      stopMachine: unary((req: { machineId: string; signal: string }, ctx) =>
        this.#answer("stopMachine", req, ctx, () => {
          const alreadyStopped = this.#machine(req.machineId).state === STOPPED;
          const exit = {
            exitCode: 0,
            signal: "",
            oomKilled: false,
            requestedStop: true,
            exitTime: undefined,
            restarting: false,
          };
          const events = [{ ...MachineEvent.create(), id: "e1", type: "exit", status: STOPPED, exit }];
          return { machine: this.#change(req.machineId, { state: STOPPED, events }), alreadyStopped };
        }),
      ),
      destroyMachine: unary((req: { machineId: string; force: boolean }, ctx) =>
        this.#answer("destroyMachine", req, ctx, () => {
          if (this.#machine(req.machineId).state === STARTED && !req.force) {
            throw new Fault("FAILED_PRECONDITION", "MACHINE_RUNNING", "the machine is running");
          }
          return { machine: this.#change(req.machineId, { state: DESTROYED }) };
        }),
      ),
      waitMachine: unary(async (req: { machineId: string; states: MachineState[] }, ctx) => {
        this.#answer("waitMachine", req, ctx, () => undefined);
        await untilDraining(ctx, "the api is shutting down", async (signal) => {
          while (this.waitsHang && !signal.aborted) await sleep(10, signal);
          signal.throwIfAborted();
        });
        return { machine: this.#machine(req.machineId) };
      }),
      streamLogs: serverStream(
        async function* (
          this: FakeApi,
          req: { follow: boolean; tail?: number | undefined; afterSequence: bigint },
          ctx: CallContext,
        ) {
          const after = this.logs.filter(({ sequence }) => sequence > req.afterSequence);
          const kept = after.slice(req.tail === undefined ? 0 : after.length - req.tail);
          for (const entry of kept) yield { entries: [entry] };
          if (req.follow) await sleep(60_000, ctx.signal);
        }.bind(this),
      ),
    };
  }
}

/** A line of a machine. */
export function line(sequence: number, text: string, stream = "stdout"): LogEntry {
  return { time: new Date(1.7e12 + sequence), stream, text, sequence: BigInt(sequence) };
}

/** A step of a create. */
export function step(name: string, status: string, detail = ""): WatchCreateResponse {
  return { step: name, status, detail, bytesDone: 0n, bytesTotal: 0n, time: new Date() };
}
