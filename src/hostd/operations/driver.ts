import { logger } from "../../lib/runtime/log.ts";
import { type Activity, allowed, decideDestroy, decidePrepare } from "../machines/decisions/decide.ts";
import type { Machine, MachineId } from "../machines/machine.ts";
import type { Proxies } from "../proxies/proxies.ts";
import { type DueParts, DueWork } from "./due-work.ts";
import type { LaunchParts } from "./launch/launch.ts";
import { Starts } from "./launch/starts.ts";
import { MachineRuntime, type RuntimeParts } from "./machine-runtime.ts";
import { type RemoveParts, type RemoveReason, remove } from "./remove.ts";
import { cancelled, cutShort } from "./requests/accepted.ts";
import { Pulls } from "./requests/pulls.ts";
import { RequestQueue } from "./requests/request-queue.ts";
import { dropUnused, type SavedVmParts } from "./saves/saved-vms.ts";
import { type SnapshotParts, Snapshots } from "./saves/snapshots.ts";
import { Suspends, type SuspendsParts } from "./saves/suspends.ts";
import { Restarts, type RestartsParts } from "./stops/restarts.ts";
import { Stops, type StopsParts } from "./stops/stops.ts";
import { TakeOver, type TakeOverParts } from "./take-over.ts";
import { Updates, type UpdatesParts } from "./updates/updates.ts";

export type DriverParts = RuntimeParts &
  LaunchParts &
  StopsParts &
  RestartsParts &
  UpdatesParts &
  RemoveParts &
  SuspendsParts &
  SnapshotParts &
  SavedVmParts &
  TakeOverParts &
  DueParts & { readonly proxies: Proxies };

/** Activities beside which a snapshot may begin. */
const STARTING: ReadonlySet<Activity | undefined> = new Set(["start", undefined]);

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
  readonly takeOver: TakeOver;
  readonly #parts: DriverParts;
  readonly #due: DueWork;
  readonly #pulls = new Pulls();
  readonly #queue: RequestQueue;

  constructor(id: MachineId, parts: DriverParts) {
    const due = new DueWork(this, parts);
    const queue = new RequestQueue({
      onAdd: (activity) => {
        if (activity !== "start") void snapshots.cancel();
        due.disarm();
      },
      onIdle: () => {
        due.arm();
        snapshots.changed(runtime.machine);
      },
    });
    const runtime = new MachineRuntime(id, parts, (after, before) => {
      dropUnused(parts, after, before, () => runtime.untilDurable());
      snapshots.changed(after);
      parts.proxies.stateChanged(after, before);
      due.changed(after, before);
    });
    const snapshots = new Snapshots(runtime, parts, () => !STARTING.has(queue.activity));
    const stops = new Stops(runtime, queue, parts);
    const restarts = new Restarts(runtime, queue, parts);
    const suspends = new Suspends(runtime, queue, parts, snapshots);
    const updates = new Updates(runtime, queue, parts, { stops, suspends, pulls: this.#pulls });
    this.#parts = parts;
    this.#due = due;
    this.#queue = queue;
    this.runtime = runtime;
    this.starts = new Starts(runtime, queue, parts, {
      watchStops: () => stops.watch(),
      endWhatIsLeft: () => this.#endWhatIsLeft(),
    });
    this.stops = stops;
    this.restarts = restarts;
    this.suspends = suspends;
    this.updates = updates;
    this.takeOver = new TakeOver(runtime, queue, parts, { snapshots, stops, restarts, updates, due });
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

  /** Ends an update, a suspend, or a VM that could not be taken over, of an earlier hostd. */
  async #endWhatIsLeft(): Promise<void> {
    const { state } = this.machine;
    if (state === "updating") await this.updates.resume();
    else if (state !== "suspending" || !(await this.#isTakenOver())) await this.stops.join({});
  }

  /** Waits for a take-over, after which the machine goes on or is suspended. False: it has failed. */
  async #isTakenOver(): Promise<boolean> {
    try {
      await this.takeOver.run();
    } catch (error) {
      logger.warn("a machine could not be taken over, and is stopped", {
        machine_id: this.machine.id,
        error,
      });
    }
    return this.machine.state !== "suspending";
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
