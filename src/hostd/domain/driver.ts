import { Fault } from "../../lib/runtime/fault.ts";
import { started, startInterrupted } from "./change.ts";
import {
  type Activity,
  type Decision,
  decideDestroy,
  decidePrepare,
  decideStart,
  decideStop,
} from "./decide.ts";
import { Halt, type StopOptions } from "./halt.ts";
import type { Host } from "./host.ts";
import { launch, type StartResult } from "./launch.ts";
import type { Machine, MachineId } from "./machine.ts";
import { finishRemoval, type RemoveReason, remove } from "./remove.ts";
import { Resident } from "./resident.ts";

/** How a stop went. */
export interface StopResult {
  readonly machine: Machine;
  /** It was not running, and nothing was done. */
  readonly already: boolean;
}

/** What a driver has accepted: at most one of each kind, taken one after the other. */
type Accepted =
  | { readonly kind: "start"; readonly done: Promise<StartResult>; readonly callOff: AbortController }
  | { readonly kind: "stop"; readonly done: Promise<StopResult>; readonly halt: Halt }
  | { readonly kind: "destroy"; readonly done: Promise<Machine> };

/**
 * Drives one machine. Every request about its life goes through here, is accepted, joined to one under way, or refused at once,
 * and then taken in turn. Callers that go away change nothing: what has been accepted is finished.
 */
export class Driver {
  readonly resident: Resident;
  readonly #prepares = new Set<AbortController>();
  /** The last request accepted; undefined once all are done. */
  #last: Accepted | undefined;

  constructor(id: MachineId, host: Host) {
    this.resident = new Resident(id, host);
  }

  /** The machine as it is now. */
  get machine(): Machine {
    return this.resident.machine;
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
    const callOff = new AbortController();
    const start = () => launch(this.resident, watchMs, callOff.signal);
    const done = this.resident.host.meter.start(() => this.#inTurn(start));
    return this.#accept({ kind: "start", done, callOff });
  }

  /** Stops the machine; resolves when its process has ended. Refused with INVALID_STATE. */
  async stop(options: StopOptions): Promise<StopResult> {
    const decision = allowed(decideStop(this.machine, this.activity));
    if (decision.kind === "already") return { machine: this.machine, already: true };
    if (this.#last?.kind === "stop") {
      const { done, halt } = this.#last;
      halt.hurry(options);
      return done;
    }
    return this.#beginStop(options, (halt) => halt.run());
  }

  /** Removes the machine. Refused with MACHINE_RUNNING. */
  async destroy(force: boolean, why: RemoveReason): Promise<Machine> {
    const decision = allowed(decideDestroy(this.machine, this.activity, force));
    if (decision.kind === "already") return this.machine;
    if (this.#last?.kind === "destroy") return this.#last.done;
    const before = this.#last;
    const done = this.#accept({ kind: "destroy", done: this.#inTurn(() => remove(this.resident, why)) });
    // What is under way is only in the way now; whoever asked for it is told.
    const gone = calledOff(this.machine.id, "destroyed");
    for (const prepare of this.#prepares) prepare.abort(gone);
    if (before?.kind === "start") before.callOff.abort(gone);
    if (before?.kind === "stop") before.halt.hurry({ signal: "SIGKILL", timeoutMs: 0 });
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
    const { resident } = this;
    const { vmId, state } = this.machine;
    if (state === "destroying") {
      void this.#inBackground({ kind: "destroy", done: this.#inTurn(() => finishRemoval(resident)) });
      return;
    }
    if (vmId === undefined) return;
    const vm = await resident.host.vmm.adopt(vmId, resident.host.logs.sink(resident.id));
    if (vm) {
      const { startPath } = vm;
      await resident.note((machine, at) =>
        machine.state === "starting" ? started(machine, startPath, at) : undefined,
      );
      resident.take(vm);
      if (this.machine.state === "stopping")
        void this.#beginStop({}, (halt) => halt.resume()).catch(() => {});
    } else if (state === "starting") {
      await resident.note(startInterrupted);
      resident.discard(vmId);
    } else {
      await resident.giveUp(vmId, "it ended while the host's daemon was away");
    }
  }

  #beginStop(options: StopOptions, run: (halt: Halt) => Promise<Machine>): Promise<StopResult> {
    const halt = new Halt(this.resident, options);
    const before = this.#last;
    const stop = async () => ({ machine: await run(halt), already: false });
    const done = this.resident.host.meter.stop(() => this.#inTurn(stop));
    this.#accept({ kind: "stop", done, halt });
    if (before?.kind === "start") before.callOff.abort(calledOff(this.machine.id, "stopped"));
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
      this.resident.host.log.error("could not go on with a machine", { machine_id: this.resident.id, error });
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
