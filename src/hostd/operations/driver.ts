import { hasReason } from "../../lib/faults/fault.ts";
import { withSpan } from "../../lib/otel/tracing.ts";
import { abortable } from "../../lib/runtime/abort.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin } from "../../lib/runtime/wait.ts";
import { started, startInterrupted } from "../machines/change.ts";
import {
  type Activity,
  allowed,
  decideDestroy,
  decidePrepare,
  decideReplace,
  decideStart,
} from "../machines/decide.ts";
import {
  type Caller,
  type Machine,
  type MachineId,
  type StartCause,
} from "../machines/machine.ts";
import { suspendFailed, withoutSaved } from "../machines/suspend.ts";
import type { Proxies } from "../proxies/proxies.ts";
import { measureStart } from "../telemetry/operation-metrics.ts";
import type { Vmm } from "../vmm/vmm.ts";
import { type DueParts, DueWork } from "./due-work.ts";
import { type LaunchParts, launch } from "./launch/launch.ts";
import { launchAgain } from "./launch/launch-again.ts";
import { MachineRuntime, type RuntimeParts } from "./machine-runtime.ts";
import { sinkOf } from "./machine-sink.ts";
import { finishRemoval, type RemoveParts, type RemoveReason, remove } from "./remove.ts";
import { cancelled, cutShort, passed, resumedEarly } from "./requests/accepted.ts";
import { Pulls } from "./requests/pulls.ts";
import type { Guard, StartResult } from "./requests/request.ts";
import { RequestQueue } from "./requests/request-queue.ts";
import { dropUnused } from "./saves/saved-vms.ts";
import { type SnapshotParts, Snapshots } from "./saves/snapshots.ts";
import { noteSaved } from "./saves/suspend-operation.ts";
import { Suspends, type SuspendsParts } from "./saves/suspends.ts";
import { Restarts, type RestartsParts } from "./stops/restarts.ts";
import { Stops, type StopsParts } from "./stops/stops.ts";
import { type NewVersion, UpdateOperation, type UpdateParts } from "./update-operation.ts";

export type DriverParts = RuntimeParts &
  LaunchParts &
  StopsParts &
  RestartsParts &
  UpdateParts &
  RemoveParts &
  SuspendsParts &
  SnapshotParts &
  DueParts & { readonly vmm: Pick<Vmm, "adopt" | "saved" | "hasSaved">; readonly proxies: Proxies };

/**
 * Takes the operations on one machine one at a time. A request that was accepted is finished even
 * when its caller is cancelled.
 */
export class Driver {
  readonly runtime: MachineRuntime;
  readonly stops: Stops;
  readonly restarts: Restarts;
  readonly suspends: Suspends;
  readonly #parts: DriverParts;
  readonly #due: DueWork;
  readonly #pulls = new Pulls();
  readonly #queue: RequestQueue;
  readonly #snapshots: Snapshots;
  #takeOver: Promise<void> | undefined;

  constructor(id: MachineId, parts: DriverParts) {
    this.#due = new DueWork(this, parts);
    this.#queue = new RequestQueue({
      onAdd: (activity) => {
        if (activity !== "start") void this.#snapshots.cancel();
        this.#due.disarm();
      },
      onIdle: () => this.#due.arm(),
    });
    this.runtime = new MachineRuntime(id, parts, (after, before) => {
      dropUnused(parts, after, before);
      this.#snapshots.changed(after);
      parts.proxies.stateChanged(after, before);
      this.#due.changed(after, before);
    });
    this.#parts = parts;
    this.stops = new Stops(this.runtime, this.#queue, parts);
    this.restarts = new Restarts(this.runtime, this.#queue, parts);
    this.#snapshots = new Snapshots(this.runtime, parts);
    this.suspends = new Suspends(this.runtime, this.#queue, parts, this.#snapshots);
  }

  get machine(): Machine {
    return this.runtime.machine;
  }

  get activity(): Activity | undefined {
    return this.#queue.activity;
  }

  get isPreparing(): boolean {
    return this.#pulls.isActive;
  }

  /**
   * Starts the machine, and watches its process for `watchMs` to report one that ends at once. The start is over when the process is
   * exec'ed: a watch holds no slot, and other requests do not wait for it. In a passing state it waits, until `signal` aborts or a stop
   * is asked for after it.
   *
   * @param guard refuses the start when the caller may not change the machine; called again when its turn has come
   * @param caller who asked for it
   * @throws Fault INVALID_STATE, of `guard`; as {@link launch} does
   */
  async start(
    watchMs: number,
    guard: Guard = () => {},
    signal?: AbortSignal,
    caller?: Caller,
  ): Promise<StartResult> {
    const wasStopped = this.stops.watch();
    for (;;) {
      const decision = allowed(decideStart(this.machine, this.activity));
      if (decision.kind === "already") {
        const { machine } = this;
        return { machine, previous: machine.state, already: true, startPath: machine.lastStartPath };
      }
      if (decision.kind === "interrupt" && this.#queue.last)
        cutShort(this.#queue.last, resumedEarly(this.machine.id), {});
      if (decision.kind === "wait" || decision.kind === "interrupt") {
        await abortable(this.#queue.last ? passed(this.#queue.last) : this.#endWhatIsLeft(), signal);
      } else {
        const result = await this.#joinStart(guard, caller);
        if (result) {
          await this.#watch(watchMs);
          return { ...result, machine: this.machine };
        }
      }
      if (wasStopped()) throw cancelled(this.machine.id, "stopped");
      guard(this.machine);
    }
  }

  /** Joins the start that is under way, or begins one. Undefined: that of another caller may not change the machine. */
  async #joinStart(guard: Guard, caller: Caller | undefined): Promise<StartResult | undefined> {
    if (this.#queue.last?.kind !== "start") return this.#beginStart(undefined, guard, caller);
    try {
      return await this.#queue.last.done;
    } catch (err) {
      if (hasReason(err, "LEASE_HELD") || hasReason(err, "MACHINE_CORDONED")) return undefined;
      throw err;
    }
  }

  /** Ends an update, or a VM that could not be taken over, of an earlier hostd. */
  async #endWhatIsLeft(): Promise<void> {
    if (this.machine.state === "updating") await this.resumeUpdate();
    else await this.stops.join({});
  }

  /**
   * Starts the machine without a call, unless an operation is under way.
   *
   * @throws Fault as {@link launch} does
   */
  async startDue(cause: StartCause): Promise<void> {
    if (!this.#queue.last) await this.#beginStart(cause);
  }

  /** Waits for the end of a process that has just started. Its exit is noted then. */
  async #watch(watchMs: number): Promise<void> {
    const { vm, ended: exit } = this.runtime;
    if (!vm) return;
    if (watchMs > 0) await withSpan("hostd.watch", {}, () => endsWithin(watchMs, exit));
    else if ((await Promise.race([vm.exited, undefined])) !== undefined) await exit;
  }

  #beginStart(cause?: StartCause, guard?: Guard, caller?: Caller): Promise<StartResult> {
    const cancellation = new AbortController();
    const { runtime } = this;
    const start =
      cause === undefined
        ? () => launch(runtime, this.#parts, cancellation.signal, undefined, guard, caller)
        : () => launchAgain(runtime, this.#parts, cancellation.signal, cause);
    const done = measureStart(() => this.#queue.after(start));
    return this.#queue.add({ kind: "start", done, cancellation });
  }

  /** Refuses an update in a state that has none, or after too many others. @throws Fault INVALID_STATE, MACHINE_BUSY */
  refuseUpdate(): void {
    allowed(decideReplace(this.machine, this.activity, "update"));
    this.#queue.refuseWhenFull(this.machine.id);
  }

  /** Replaces the version. @throws Fault INVALID_STATE; as {@link UpdateOperation.run} does */
  async update(update: NewVersion, watchMs: number): Promise<Machine> {
    this.refuseUpdate();
    await this.#beginUpdate((operation, signal) => {
      allowed(decideReplace(this.machine, this.activity === "destroy" ? "destroy" : undefined, "update"));
      return operation.run(update, signal);
    });
    await this.#watch(watchMs);
    return this.machine;
  }

  /** Goes on with an update whose intent is stored, unless an operation is under way. */
  async resumeUpdate(): Promise<void> {
    if (!this.#queue.last) await this.#beginUpdate((operation, signal) => operation.resume(signal));
  }

  /** Removes the machine. @throws Fault MACHINE_RUNNING */
  async destroy(force: boolean, why: RemoveReason): Promise<Machine> {
    const decision = allowed(decideDestroy(this.machine, this.activity, force));
    if (decision.kind === "already") return this.machine;
    if (this.#queue.last?.kind === "destroy") return this.#queue.last.done;
    const before = this.#queue.all;
    const removal = this.#queue.after(() => remove(this.runtime, this.#parts, why));
    this.#parts.proxies.leaveFor(this.machine, removal);
    const done = this.#queue.add({ kind: "destroy", done: removal });
    const reason = cancelled(this.machine.id, "destroyed");
    this.#pulls.abort(reason);
    for (const each of before) cutShort(each, reason, { signal: "SIGKILL", timeoutMs: 0 });
    return done;
  }

  /**
   * Runs `work`, which makes the image local. A destroy aborts it. Other requests do not wait for
   * it.
   *
   * @throws Fault INVALID_STATE
   */
  async *prepare<T>(work: (signal: AbortSignal) => AsyncIterable<T>, caller: AbortSignal): AsyncGenerator<T> {
    if (allowed(decidePrepare(this.machine, this.activity)).kind === "already") return;
    yield* this.pull(work, caller);
  }

  /** Runs `work`, which makes an image local, until a destroy or the caller aborts it. */
  pull<T>(work: (signal: AbortSignal) => AsyncIterable<T>, caller: AbortSignal): AsyncGenerator<T> {
    return this.#pulls.run(work, caller);
  }

  /**
   * After a restart of hostd: takes over the VM of the machine, if it has one, and goes on with
   * what was under way. Calls that come meanwhile do not wait for it.
   */
  adopt(): Promise<void> {
    this.#takeOver ??= this.#adopt().finally(() => {
      this.#takeOver = undefined;
    });
    return this.#takeOver;
  }

  async #adopt(): Promise<void> {
    const { runtime } = this;
    const { vmId, state } = this.machine;
    if (state === "destroying") {
      const removal = this.#queue.after(() => finishRemoval(runtime, this.#parts));
      this.#queue.add({ kind: "destroy", done: removal }).catch((error: unknown) => {
        logger.error("could not finish the removal of a machine", { machine_id: runtime.id, error });
      });
      return;
    }
    if (vmId !== undefined) await this.#adoptVm(vmId);
    this.#due.arm();
  }

  async #adoptVm(vmId: string): Promise<void> {
    const { runtime } = this;
    const { vmm } = this.#parts;
    if (this.machine.state === "suspending" && vmm.hasSaved?.(vmId)) {
      const bytes = (await vmm.saved?.())?.find(({ name }) => name === vmId)?.bytes ?? 0;
      await noteSaved(runtime, this.#parts, { vmId, bytes });
      return;
    }
    const sink = sinkOf(this.#parts, this.machine);
    const vm = await vmm.adopt(vmId, sink);
    if (vm) {
      let isTaken = false;
      await runtime.note((machine, at) => {
        // A stop may have destroyed it meanwhile.
        if (machine.vmId !== vmId) return undefined;
        runtime.take(vm);
        isTaken = true;
        return machine.state === "starting"
          ? started(machine, vm.startPath, at)
          : machine.state === "suspending"
            ? suspendFailed(machine, "SUSPEND_INTERRUPTED", "the host's daemon restarted: it goes on", at)
            : undefined;
      });
      if (isTaken) {
        await this.#snapshots.adopt(vm.id);
        this.#resumeStop();
      } else {
        runtime.tearDown(vmId);
      }
    } else if (this.machine.vmId !== vmId) {
      return;
    } else if (this.machine.state === "starting") {
      const { saved } = this.machine;
      const isThere = saved !== undefined && vmm.hasSaved?.(saved.vmId) === true;
      await runtime.note((machine, at) => startInterrupted(isThere ? machine : withoutSaved(machine), at));
      runtime.tearDown(vmId);
    } else {
      await runtime.abandonVm(vmId, "it ended while the host's daemon was down");
    }
  }

  /** Goes on with the stop that was under way, and with what follows it. */
  #resumeStop(): void {
    const { state, stop } = this.machine;
    if (stop === undefined) return;
    if (state === "stopping") {
      this.stops.resume().catch(() => {});
      return;
    }
    if (state === "updating") this.resumeUpdate().catch(() => {});
    if (state === "restarting") this.restarts.resume().catch(() => {});
  }

  /** Stops operations that no call asks for: hostd closes. */
  async detach(): Promise<void> {
    this.#due.close();
    await this.runtime.detach();
  }

  /** Sets the timer for what is due anew. */
  rearm(): void {
    this.#due.arm();
  }

  #beginUpdate(run: (operation: UpdateOperation, signal: AbortSignal) => Promise<Machine>): Promise<Machine> {
    const cancellation = new AbortController();
    const operation = new UpdateOperation(this.runtime, this.#parts);
    const done = this.#queue.after(() => run(operation, cancellation.signal));
    this.#parts.proxies.leaveFor(this.machine, done);
    return this.#queue.add({ kind: "update", done, cancellation, stopOperation: operation, trial: operation });
  }
}
