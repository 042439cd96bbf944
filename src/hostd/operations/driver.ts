import { logger } from "../../lib/runtime/log.ts";
import { started, startInterrupted } from "../machines/change.ts";
import { type Activity, allowed, decideDestroy, decidePrepare } from "../machines/decide.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import { suspendFailed, withoutSaved } from "../machines/suspend.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { Vmm } from "../vmm/vmm.ts";
import { type DueParts, DueWork } from "./due-work.ts";
import type { LaunchParts } from "./launch/launch.ts";
import { Starts } from "./launch/starts.ts";
import { MachineRuntime, type RuntimeParts } from "./machine-runtime.ts";
import { sinkOf } from "./machine-sink.ts";
import { finishRemoval, type RemoveParts, type RemoveReason, remove } from "./remove.ts";
import { cancelled, cutShort } from "./requests/accepted.ts";
import { Pulls } from "./requests/pulls.ts";
import { RequestQueue } from "./requests/request-queue.ts";
import { dropUnused } from "./saves/saved-vms.ts";
import { type SnapshotParts, Snapshots } from "./saves/snapshots.ts";
import { noteSaved } from "./saves/suspend-operation.ts";
import { Suspends, type SuspendsParts } from "./saves/suspends.ts";
import { Restarts, type RestartsParts } from "./stops/restarts.ts";
import { Stops, type StopsParts } from "./stops/stops.ts";
import { Updates, type UpdatesParts } from "./updates/updates.ts";

export type DriverParts = RuntimeParts &
  LaunchParts &
  StopsParts &
  RestartsParts &
  UpdatesParts &
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
  readonly starts: Starts;
  readonly stops: Stops;
  readonly restarts: Restarts;
  readonly suspends: Suspends;
  readonly updates: Updates;
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
    this.starts = new Starts(this.runtime, this.#queue, parts, {
      watchStops: () => this.stops.watch(),
      endWhatIsLeft: () => this.#endWhatIsLeft(),
    });
    this.restarts = new Restarts(this.runtime, this.#queue, parts);
    this.#snapshots = new Snapshots(this.runtime, parts);
    this.suspends = new Suspends(this.runtime, this.#queue, parts, this.#snapshots);
    this.updates = new Updates(this.runtime, this.#queue, parts, { stops: this.stops, pulls: this.#pulls });
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

  /** Ends an update, or a VM that could not be taken over, of an earlier hostd. */
  async #endWhatIsLeft(): Promise<void> {
    if (this.machine.state === "updating") await this.updates.resume();
    else await this.stops.join({});
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
    yield* this.#pulls.run(work, caller);
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
    if (state === "updating") this.updates.resume().catch(() => {});
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
}
