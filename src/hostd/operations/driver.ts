import { Fault } from "../../lib/faults/fault.ts";
import { started, startInterrupted } from "../machines/change.ts";
import {
  type Activity,
  type Decision,
  decideDestroy,
  decidePrepare,
  decideStart,
  decideStop,
} from "../machines/decide.ts";
import type { Host } from "../machines/host.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import { launch, type StartResult } from "./launch.ts";
import { MachineRuntime } from "./machine-runtime.ts";
import { finishRemoval, type RemoveReason, remove } from "./remove.ts";
import { StopOperation, type StopOptions } from "./stop-operation.ts";

/** How a stop went. */
export interface StopResult {
  readonly machine: Machine;
  /** It was not running, and nothing was done. */
  readonly already: boolean;
}

/** What a driver has accepted: at most one of each kind, taken one after the other. */
type Accepted =
  | { readonly kind: "start"; readonly done: Promise<StartResult>; readonly cancellation: AbortController }
  | { readonly kind: "stop"; readonly done: Promise<StopResult>; readonly stopOperation: StopOperation }
  | { readonly kind: "destroy"; readonly done: Promise<Machine> };

/**
 * Drives one machine. Every request about its life goes through here, is accepted, joined to one under way, or refused at once,
 * and then taken in turn. Callers that go away change nothing: what has been accepted is finished.
 */
export class Driver {
  readonly runtime: MachineRuntime;
  readonly #prepares = new Set<AbortController>();
  /** The last request accepted; undefined once all are done. */
  #last: Accepted | undefined;

  constructor(id: MachineId, host: Host) {
    this.runtime = new MachineRuntime(id, host);
  }

  /** The machine as it is now. */
  get machine(): Machine {
    return this.runtime.machine;
  }

  /** What it is at. */
  get activity(): Activity | undefined {
    return this.#last?.kind;
  }

  /** Whether its image is being made local. */
  get isPreparing(): boolean {
    return this.#prepares.size > 0;
  }

  /** Starts the machine; see `launch` for what it throws. Refused with INVALID_STATE. */
  async start(watchMs: number): Promise<StartResult> {
    const decision = allowed(decideStart(this.machine, this.activity));
    if (decision.kind === "already") {
      const { machine } = this;
      return { machine, previous: machine.state, already: true, startPath: machine.lastStartPath };
    }
    if (this.#last?.kind === "start") return this.#last.done;
    const cancellation = new AbortController();
    const start = () => launch(this.runtime, watchMs, cancellation.signal);
    const done = this.runtime.host.meter.start(() => this.#inTurn(start));
    return this.#accept({ kind: "start", done, cancellation });
  }

  /** Stops the machine; resolves when its process has ended. Refused with INVALID_STATE. */
  async stop(options: StopOptions): Promise<StopResult> {
    const decision = allowed(decideStop(this.machine, this.activity));
    if (decision.kind === "already") return { machine: this.machine, already: true };
    if (this.#last?.kind === "stop") {
      const { done, stopOperation } = this.#last;
      stopOperation.escalate(options);
      return done;
    }
    return this.#beginStop(options, (stopOperation) => stopOperation.run());
  }

  /** Removes the machine. Refused with MACHINE_RUNNING. */
  async destroy(force: boolean, why: RemoveReason): Promise<Machine> {
    const decision = allowed(decideDestroy(this.machine, this.activity, force));
    if (decision.kind === "already") return this.machine;
    if (this.#last?.kind === "destroy") return this.#last.done;
    const before = this.#last;
    const done = this.#accept({ kind: "destroy", done: this.#inTurn(() => remove(this.runtime, why)) });
    // What is under way is only in the way now; whoever asked for it is told.
    const gone = calledOff(this.machine.id, "destroyed");
    for (const prepare of this.#prepares) prepare.abort(gone);
    if (before?.kind === "start") before.cancellation.abort(gone);
    if (before?.kind === "stop") before.stopOperation.escalate({ signal: "SIGKILL", timeoutMs: 0 });
    return done;
  }

  /**
   * Runs the making local of the machine's image, which a destroy ends. It does not keep other requests waiting: a start before its
   * end is refused by the machine's state.
   *
   * @throws Fault INVALID_STATE when it is being destroyed, or will have been
   */
  async *prepare<T>(work: (signal: AbortSignal) => AsyncIterable<T>, caller: AbortSignal): AsyncGenerator<T> {
    if (allowed(decidePrepare(this.machine, this.activity)).kind === "already") return;
    const destroyed = new AbortController();
    this.#prepares.add(destroyed);
    try {
      yield* work(AbortSignal.any([destroyed.signal, caller]));
    } catch (err) {
      throw destroyed.signal.aborted ? destroyed.signal.reason : err;
    } finally {
      this.#prepares.delete(destroyed);
    }
  }

  /** After a restart of hostd: takes over the machine's VM, if it has one, and goes on with what was under way. */
  async adopt(): Promise<void> {
    const { runtime } = this;
    const { vmId, state } = this.machine;
    if (state === "destroying") {
      void this.#inBackground({ kind: "destroy", done: this.#inTurn(() => finishRemoval(runtime)) });
      return;
    }
    if (vmId === undefined) return;
    const vm = await runtime.host.vmm.adopt(vmId, runtime.host.logs.sink(runtime.id));
    if (vm) {
      const { startPath } = vm;
      await runtime.note((machine, at) =>
        machine.state === "starting" ? started(machine, startPath, at) : undefined,
      );
      runtime.take(vm);
      if (this.machine.state === "stopping")
        void this.#beginStop({}, (stopOperation) => stopOperation.resume()).catch(() => {});
    } else if (state === "starting") {
      await runtime.note(startInterrupted);
      runtime.discard(vmId);
    } else {
      await runtime.giveUp(vmId, "it ended while the host's daemon was away");
    }
  }

  #beginStop(
    options: StopOptions,
    run: (stopOperation: StopOperation) => Promise<Machine>,
  ): Promise<StopResult> {
    const stopOperation = new StopOperation(this.runtime, options);
    const before = this.#last;
    const stop = async () => ({ machine: await run(stopOperation), already: false });
    const done = this.runtime.host.meter.stop(() => this.#inTurn(stop));
    this.#accept({ kind: "stop", done, stopOperation });
    if (before?.kind === "start") before.cancellation.abort(calledOff(this.machine.id, "stopped"));
    return done;
  }

  #accept<A extends Accepted>(accepted: A): A["done"] {
    this.#last = accepted;
    const forget = (): void => {
      if (this.#last === accepted) this.#last = undefined;
    };
    accepted.done.then(forget, forget);
    return accepted.done;
  }

  async #inBackground(accepted: Accepted): Promise<void> {
    try {
      await this.#accept(accepted);
    } catch (error) {
      this.runtime.host.log.error("could not go on with a machine", { machine_id: this.runtime.id, error });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before: Promise<unknown> = this.#last?.done ?? Promise.resolve();
    return before.then(work, work);
  }
}

function allowed(decision: Decision): Exclude<Decision, { kind: "refuse" }> {
  if (decision.kind === "refuse") throw decision.fault;
  return decision;
}

function calledOff(id: string, how: string): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "INVALID_STATE",
    `machine ${id} was ${how} before its process ran`,
    {
      machine_id: id,
      state: how,
    },
  );
}
