import { EventEmitter } from "node:events";
import {
  type HostServiceServer,
  HostServiceService,
  type PrepareMachineRequest,
  type WatchMachinesRequest,
} from "../../../../src/gen/windhover/hostd/v1/hostd.ts";
import type { Machine } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { RULES } from "../../../../src/hostd/service-rules.ts";
import type { TokenVerifier } from "../../../../src/lib/auth/auth.ts";
import { requireScope } from "../../../../src/lib/auth/claims.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { notBuilt } from "../../../../src/lib/grpc/server/not-built.ts";
import { bidiStream, bidiWire, type CallContext, unary } from "../../../../src/lib/grpc/server/rpc.ts";
import { createServer, serve } from "../../../../src/lib/grpc/server/serve.ts";
import { changeMethods, FakeLeases } from "./changes.ts";
import { lifecycleMethods } from "./lifecycle.ts";
import { readMethods } from "./reads.ts";
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
    const parts = { host: this, act: this.#do.bind(this), find: this.#find.bind(this) };
    return {
      ...changeMethods(parts),
      ...lifecycleMethods(parts),
      ...readMethods(parts),
      attachProxy: bidiWire(() => notBuilt("AttachProxy")),
      setScheduling: unary(({ scheduling }, ctx) =>
        this.#do(ctx, "setScheduling", "", () => {
          const previous = this.scheduling;
          this.scheduling = scheduling;
          return { previous };
        }),
      ),
      waitMachine: unary(() => {
        throw new Fault("UNIMPLEMENTED", "UNIMPLEMENTED", "an api watches instead");
      }),
      watchMachines: bidiStream(this.#watch.bind(this)),
    };
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
}
