import { EventEmitter } from "node:events";
import { ulid } from "ulid";
import {
  type ExecMachineRequest,
  type Hold,
  type HostServiceServer,
  HostServiceService,
  type PrepareMachineRequest,
  StartMachineResponse,
  type StreamLogsRequest,
  type WatchMachinesRequest,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { RULES } from "../../../../src/hostd/service-rules.ts";
import type { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { requireScope } from "../../../../src/lib/auth/claims.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { notBuilt } from "../../../../src/lib/grpc/server/not-built.ts";
import {
  bidiStream,
  bidiWire,
  type CallContext,
  serverStream,
  unary,
} from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../../src/lib/grpc/server/serve.ts";
import { changeMethods, eventOf, FakeLeases } from "./changes.ts";
import { type Script, Scripts } from "./scripts.ts";
import { type Changes, watchMachines } from "./watch-machines.ts";

export interface FakeHostOptions {
  readonly number: number;
  readonly verifier: TokenVerifier;
  readonly port?: number;
}

/** A host that keeps its machines in memory, behind real gRPC, and can be told to misbehave. */
export class FakeHost {
  readonly number: number;
  readonly name: string;
  readonly identity: string;
  readonly machines = new Map<string, Machine>();
  /** What the last image was to be pulled with. */
  credentials: PrepareMachineRequest["credentials"];
  /** Size of the next images. */
  imageBytes = 0n;
  scheduling: Scheduling = Scheduling.OPEN;
  /** Version that a rollback of the present one would bring back; empty: none. */
  rollbackTo = "";
  /** Epochs of holds by reservation. */
  readonly holds = new Map<string, bigint>();
  /** Methods that were called, in order. */
  readonly calls: string[] = [];
  /** What every machine has written. */
  readonly lines = ["hello"];
  readonly leases = new FakeLeases();
  /** Ids that watches have named, in order. */
  readonly watched: string[] = [];
  /** Signals that machines have been sent. */
  readonly signals: string[] = [];
  readonly #changed: Changes = new EventEmitter();
  /** Whether it can suspend machines, as older hosts cannot. */
  suspends = false;
  outboxSequence = 0n;
  outboxAcknowledged = 0n;
  readonly #scripts = new Scripts();
  readonly #verifier: TokenVerifier;
  #epoch = 0n;
  #running: Awaited<ReturnType<typeof serve>> | undefined;
  #port: number;

  constructor(options: FakeHostOptions) {
    this.number = options.number;
    this.name = `host-${options.number}`;
    this.identity = `identity-${options.number}`;
    this.#verifier = options.verifier;
    this.#port = options.port ?? 0;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const server = createServer({ verifier: this.#verifier, rules: RULES });
    server.addService(HostServiceService, this.#service());
    this.#running = await serve(server, this.address, 0);
    this.#port = this.#running.port;
  }

  async stop(): Promise<void> {
    await this.#running?.();
    this.#running = undefined;
  }

  clear(): void {
    this.machines.clear();
    this.holds.clear();
    this.calls.length = 0;
    this.signals.length = 0;
    this.leases.clear();
    this.imageBytes = 0n;
    this.suspends = false;
    this.#scripts.clear();
  }

  /** Runs `script` before the next calls of `method`; a throw refuses them, and nothing is done. */
  before(method: string, script: Script, times = 1): void {
    this.#scripts.add(method, "before", script, times);
  }

  /** Runs `script` after the next calls of `method` have acted; a throw is an answer that got lost. */
  after(method: string, script: Script, times = 1): void {
    this.#scripts.add(method, "after", script, times);
  }

  hold(reservationId: string): bigint {
    const known = this.holds.get(reservationId);
    if (known !== undefined) return known;
    this.#epoch += 1n;
    this.holds.set(reservationId, this.#epoch);
    return this.#epoch;
  }

  /** Changes a machine as if something had happened on the host. */
  change(id: string, change: Partial<Machine>): Machine {
    const machine = this.machines.get(id);
    if (!machine) throw new Error(`the fake host has no machine ${id}`);
    const next = { ...machine, ...change, generation: machine.generation + 1n, updateTime: new Date() };
    this.machines.set(id, next);
    this.#changed.emit("change", id);
    return next;
  }

  async #do<T>(ctx: CallContext, method: string, machineId: string, act: () => T): Promise<T> {
    requireScope(ctx, "internal");
    this.calls.push(method);
    await this.#scripts.run(method, "before", machineId);
    const result = act();
    await this.#scripts.run(method, "after", machineId);
    return result;
  }

  #find(id: string, org: string): Machine {
    const machine = this.machines.get(id);
    if (!machine || (org !== "" && machine.org !== org)) {
      throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
    }
    return machine;
  }

  #service(): HostServiceServer {
    return {
      ...changeMethods({
        host: this,
        act: this.#do.bind(this),
        find: this.#find.bind(this),
      }),
      suspendMachine: unary(({ machineId, org, leaseNonce }, ctx) =>
        this.#do(ctx, "suspendMachine", machineId, () => {
          if (!this.suspends) notBuilt("SuspendMachine");
          const { state } = this.#find(machineId, org);
          this.leases.guard(machineId, leaseNonce);
          const machine = this.change(machineId, { state: MachineState.SUSPENDED });
          return { machine, alreadySuspended: state === MachineState.SUSPENDED };
        }),
      ),
      attachProxy: bidiWire(() => notBuilt("AttachProxy")),
      getMachines: unary(({ machineIds }, ctx) =>
        this.#do(ctx, "getMachines", "", () => ({
          machines: machineIds
            .flatMap((id) => this.machines.get(id) ?? [])
            .map((machine) => ({ ...machine, config: undefined, events: machine.events.slice(0, 1) })),
        })),
      ),
      execMachine: bidiStream(this.#exec.bind(this)),
      listProcesses: unary(({ machineId, org }, ctx) =>
        this.#do(ctx, "listProcesses", machineId, () => {
          this.#find(machineId, org);
          return { processes: [] };
        }),
      ),
      setScheduling: unary(({ scheduling }, ctx) =>
        this.#do(ctx, "setScheduling", "", () => {
          const previous = this.scheduling;
          this.scheduling = scheduling;
          return { previous };
        }),
      ),
      createMachine: unary(({ machine, reservationId, epoch, lease }, ctx) =>
        this.#do(ctx, "createMachine", machine?.id ?? "", () => {
          if (!machine) throw new Error("no machine");
          const known = this.machines.get(machine.id);
          if (known) return { machine: known };
          if (this.holds.get(reservationId) !== epoch) {
            throw new Fault("FAILED_PRECONDITION", "HOLD_EXPIRED", "the hold is gone");
          }
          this.holds.delete(reservationId);
          const now = new Date();
          const state = MachineState.CREATING;
          const created = {
            ...machine,
            state,
            host: this.name,
            generation: 1n,
            createTime: now,
            updateTime: now,
            instanceId: ulid(),
          };
          const held = lease && this.leases.acquire(created, lease, "");
          const described = { ...created, lease: held && { ...held, nonce: "" } };
          this.machines.set(machine.id, described);
          return { machine: described };
        }),
      ),
      prepareMachine: serverStream(this.#prepare.bind(this)),
      getMachine: unary(({ machineId, org }, ctx) =>
        this.#do(ctx, "getMachine", machineId, () => ({ machine: this.#find(machineId, org) })),
      ),
      listMachines: unary((_, ctx) =>
        this.#do(ctx, "listMachines", "", () => ({
          machines: [...this.machines.values()],
          nextPageToken: "",
        })),
      ),
      startMachine: unary(({ machineId, org, leaseNonce }, ctx) =>
        this.#do(ctx, "startMachine", machineId, () => {
          const before = this.#find(machineId, org);
          this.leases.guard(machineId, leaseNonce);
          const alreadyStarted = before.state === MachineState.STARTED;
          const machine = alreadyStarted ? before : this.change(machineId, started(before));
          return StartMachineResponse.fromPartial({
            machine,
            previousState: before.state,
            alreadyStarted,
            startPath: "warm",
          });
        }),
      ),
      stopMachine: unary(({ machineId, org, leaseNonce, ignoreLease }, ctx) =>
        this.#do(ctx, "stopMachine", machineId, () => {
          const before = this.#find(machineId, org);
          if (!ignoreLease) this.leases.guard(machineId, leaseNonce);
          const alreadyStopped = before.state !== MachineState.STARTED;
          const machine = alreadyStopped ? before : this.change(machineId, { state: MachineState.STOPPED });
          return { machine, alreadyStopped };
        }),
      ),
      destroyMachine: unary(({ machineId, org, force, ignoreMissing, ...leased }, ctx) =>
        this.#do(ctx, "destroyMachine", machineId, () => {
          if (ignoreMissing && !this.machines.has(machineId)) return { machine: undefined };
          const machine = this.#find(machineId, org);
          if (!leased.ignoreLease) this.leases.guard(machineId, leased.leaseNonce);
          if (machine.state === MachineState.STARTED && !force) {
            throw new Fault("FAILED_PRECONDITION", "MACHINE_RUNNING", "it is running; stop it or force it");
          }
          const gone = this.change(machineId, { state: MachineState.DESTROYED });
          this.machines.delete(machineId);
          return { machine: gone };
        }),
      ),
      waitMachine: unary(() => {
        throw new Fault("UNIMPLEMENTED", "UNIMPLEMENTED", "an api watches instead");
      }),
      watchMachines: bidiStream(this.#watch.bind(this)),
      streamLogs: serverStream(this.#logs.bind(this)),
      getHost: unary((_, ctx) =>
        this.#do(ctx, "getHost", "", () => ({
          info: {
            number: this.number,
            name: this.name,
            identity: this.identity,
            region: "ord",
            zone: "a",
            address: this.address,
            capacity: undefined,
            vmm: "fake",
            acceleration: "none",
            isolation: "development",
            vmmReason: "",
            labels: new Map<string, string>(),
          },
          status: undefined,
          holds: [] as Hold[],
          outboxSequence: this.outboxSequence,
          outboxAcknowledged: this.outboxAcknowledged,
        })),
      ),
    };
  }

  async *#prepare({ machineId, credentials }: PrepareMachineRequest, ctx: CallContext) {
    this.credentials = credentials;
    const progress = { machine: undefined, imageWasLocal: false };
    yield { detail: "pulling 1 of 2 layers", bytesDone: 5n, bytesTotal: 10n, ...progress };
    const machine = await this.#do(ctx, "prepareMachine", machineId, () => {
      const known = this.#find(machineId, "");
      return known.state === MachineState.CREATING
        ? this.change(machineId, { state: MachineState.CREATED, imageBytes: this.imageBytes })
        : known;
    });
    yield { detail: "", bytesDone: 10n, bytesTotal: 10n, machine, imageWasLocal: false };
  }

  async *#exec(requests: AsyncIterable<ExecMachineRequest>, ctx: CallContext): AsyncGenerator<never> {
    for await (const { org, request } of requests) {
      await this.#do(ctx, "execMachine", request?.machineId ?? "", () =>
        this.#find(request?.machineId ?? "", org),
      );
      throw new Fault("FAILED_PRECONDITION", "INVALID_STATE", "no program runs here");
    }
  }

  async *#watch(requests: AsyncIterable<WatchMachinesRequest>, ctx: CallContext) {
    await this.#do(ctx, "watchMachines", "", () => undefined);
    const noted = this.#note(requests);
    yield* watchMachines(this.machines, this.#changed, noted, () => this.rollbackTo);
  }

  async *#note(requests: AsyncIterable<WatchMachinesRequest>) {
    for await (const request of requests) {
      this.watched.push(...request.watchIds);
      yield request;
    }
  }

  async *#logs({ machineId, org, follow, afterSequence }: StreamLogsRequest, ctx: CallContext) {
    await this.#do(ctx, "streamLogs", machineId, () => this.#find(machineId, org));
    const line = { time: new Date(), stream: "stdout" };
    const entries = this.lines.map((text, i) => ({ ...line, text, sequence: BigInt(i + 1) }));
    const position = BigInt(entries.length);
    yield { entries: entries.filter(({ sequence }) => sequence > afterSequence), position };
    if (follow) await new Promise<void>((resolve) => ctx.signal.addEventListener("abort", () => resolve()));
  }
}

function started(machine: Machine): Partial<Machine> {
  const event = eventOf("start", MachineState.STARTED, machine.instanceId);
  return { state: MachineState.STARTED, lastStartPath: "warm", events: [event, ...machine.events] };
}
