import { Fault } from "../../lib/faults/fault.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin } from "../../lib/runtime/wait.ts";
import { started, startInterrupted } from "../machines/change.ts";
import {
  type Activity,
  type Decision,
  decideDestroy,
  decidePrepare,
  decideStart,
  decideStop,
} from "../machines/decide.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import { measureStart, measureStop } from "../telemetry/operation-metrics.ts";
import type { Vmm } from "../vmm/vmm.ts";
import { type LaunchParts, launch, type StartResult } from "./launch.ts";
import { MachineRuntime, type RuntimeParts } from "./machine-runtime.ts";
import { finishRemoval, type RemoveParts, type RemoveReason, remove } from "./remove.ts";
import { StopOperation, type StopOptions, type StopParts } from "./stop-operation.ts";

export interface StopResult {
  readonly machine: Machine;
  /** The machine did not run, and nothing was done. */
  readonly already: boolean;
}

export type DriverParts = RuntimeParts &
  LaunchParts &
  StopParts &
  RemoveParts & { readonly vmm: Pick<Vmm, "adopt"> };

/** An accepted request. A driver has at most one of each kind, one after the other. */
type Accepted =
  | { readonly kind: "start"; readonly done: Promise<StartResult>; readonly cancellation: AbortController }
  | { readonly kind: "stop"; readonly done: Promise<StopResult>; readonly stopOperation: StopOperation }
  | { readonly kind: "destroy"; readonly done: Promise<Machine> };

/** Takes the operations on one machine one at a time. A request that was accepted is finished even when its caller is cancelled. */
export class Driver {
  readonly runtime: MachineRuntime;
  readonly #parts: DriverParts;
  readonly #prepares = new Set<AbortController>();
  /** The last request accepted; undefined once it is done. */
  #last: Accepted | undefined;

  constructor(id: MachineId, parts: DriverParts) {
    this.runtime = new MachineRuntime(id, parts);
    this.#parts = parts;
  }

  get machine(): Machine {
    return this.runtime.machine;
  }

  get activity(): Activity | undefined {
    return this.#last?.kind;
  }

  get isPreparing(): boolean {
    return this.#prepares.size > 0;
  }

  /**
   * Starts the machine, and watches its process for `watchMs` to report one that ends at once. The start is over when the process is
   * exec'ed: a watch holds no slot, and other requests do not wait for it.
   *
   * @throws Fault INVALID_STATE; as {@link launch} does
   */
  async start(watchMs: number): Promise<StartResult> {
    const decision = allowed(decideStart(this.machine, this.activity));
    if (decision.kind === "already") {
      const { machine } = this;
      return { machine, previous: machine.state, already: true, startPath: machine.lastStartPath };
    }
    const result = await (this.#last?.kind === "start" ? this.#last.done : this.#beginStart());
    await this.#watch(watchMs);
    return { ...result, machine: this.machine };
  }

  /** Waits for the end of a process that has just started. Its exit is noted then. */
  async #watch(watchMs: number): Promise<void> {
    const { vm, ended } = this.runtime;
    if (!vm) return;
    if (watchMs > 0) await withSpan("hostd.watch", {}, () => endsWithin(watchMs, ended));
    else if ((await Promise.race([vm.exited, undefined])) !== undefined) await ended;
  }

  #beginStart(): Promise<StartResult> {
    const cancellation = new AbortController();
    const start = () => launch(this.runtime, this.#parts, cancellation.signal);
    const done = measureStart(() => this.#inOrder(start));
    return this.#accept({ kind: "start", done, cancellation });
  }

  /** Stops the machine. Resolves when its process has ended. @throws Fault INVALID_STATE */
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

  /** Removes the machine. @throws Fault MACHINE_RUNNING */
  async destroy(force: boolean, why: RemoveReason): Promise<Machine> {
    const decision = allowed(decideDestroy(this.machine, this.activity, force));
    if (decision.kind === "already") return this.machine;
    if (this.#last?.kind === "destroy") return this.#last.done;
    const before = this.#last;
    const removal = this.#inOrder(() => remove(this.runtime, this.#parts, why));
    const done = this.#accept({ kind: "destroy", done: removal });
    const reason = cancelled(this.machine.id, "destroyed");
    for (const prepare of this.#prepares) prepare.abort(reason);
    if (before?.kind === "start") before.cancellation.abort(reason);
    if (before?.kind === "stop") before.stopOperation.escalate({ signal: "SIGKILL", timeoutMs: 0 });
    return done;
  }

  /** Runs `work`, which makes the image local. A destroy aborts it. Other requests do not wait for it. @throws Fault INVALID_STATE */
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

  /** After a restart of hostd: takes over the VM of the machine, if it has one, and resumes a stop or a removal. */
  async adopt(): Promise<void> {
    const { runtime } = this;
    const { vmId, state } = this.machine;
    if (state === "destroying") {
      const removal = this.#inOrder(() => finishRemoval(runtime, this.#parts));
      this.#accept({ kind: "destroy", done: removal }).catch((error: unknown) => {
        logger.error("could not finish the removal of a machine", { machine_id: runtime.id, error });
      });
      return;
    }
    if (vmId === undefined) return;
    const vm = await this.#parts.vmm.adopt(
      vmId,
      this.#parts.logs.sink({ id: runtime.id, org: this.machine.spec.org }),
    );
    if (vm) {
      await runtime.note((machine, at) =>
        machine.state === "starting" ? started(machine, vm.startPath, at) : undefined,
      );
      runtime.take(vm);
      if (this.machine.state === "stopping")
        void this.#beginStop({}, (stopOperation) => stopOperation.resume()).catch(() => {});
    } else if (state === "starting") {
      await runtime.note(startInterrupted);
      runtime.tearDown(vmId);
    } else {
      await runtime.abandonVm(vmId, "it ended while the host's daemon was down");
    }
  }

  #beginStop(
    options: StopOptions,
    run: (stopOperation: StopOperation) => Promise<Machine>,
  ): Promise<StopResult> {
    const stopOperation = new StopOperation(this.runtime, this.#parts, options);
    const before = this.#last;
    const stop = async () => ({ machine: await run(stopOperation), already: false });
    const done = measureStop(() => this.#inOrder(stop));
    this.#accept({ kind: "stop", done, stopOperation });
    if (before?.kind === "start") before.cancellation.abort(cancelled(this.machine.id, "stopped"));
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

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const before: Promise<unknown> = this.#last?.done ?? Promise.resolve();
    return before.then(work, work);
  }
}

function allowed(decision: Decision): Exclude<Decision, { kind: "refuse" }> {
  if (decision.kind === "refuse") throw decision.fault;
  return decision;
}

function cancelled(id: string, state: "stopped" | "destroyed"): Fault {
  const message = `machine ${id} was ${state} before its process ran`;
  return new Fault("FAILED_PRECONDITION", "INVALID_STATE", message, { machine_id: id, state });
}
