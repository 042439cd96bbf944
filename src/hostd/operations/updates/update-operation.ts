import { Fault } from "../../../lib/faults/fault.ts";
import { endsWithin, sleep } from "../../../lib/runtime/wait.ts";
import { refuseWhileDraining } from "../../availability/scheduling.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { type Ports, portsOfVersion } from "../../capacity/ports.ts";
import {
  ready,
  rolledBack,
  type UpdateOptions,
  updated,
  updateRefused,
  willLaunch,
} from "../../machines/decisions/update.ts";
import type { Machine } from "../../machines/machine.ts";
import { isStartable } from "../../machines/states.ts";
import type { UpdateKey, Version } from "../../machines/version.ts";
import { type LaunchParts, launch } from "../launch/launch.ts";
import { startFailedFault } from "../launch/launch-faults.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { cancelled } from "../requests/accepted.ts";
import type { StopOptions } from "../requests/request.ts";
import { type StopIntent, StopOperation, type StopParts } from "../stops/stop-operation.ts";
import { notReady, withEnd } from "./update-faults.ts";

export type UpdateParts = LaunchParts &
  StopParts & {
    readonly ledger: Pick<Ledger, "resize" | "restoreSize" | "unreserve">;
    readonly ports: Pick<Ports, "allocate" | "release">;
  };

/** An update of a machine whose new image is local. */
export interface NewVersion extends UpdateOptions {
  readonly version: Omit<Version, "resources">;
  /** By which the call may be repeated. */
  readonly key: UpdateKey | undefined;
  /**
   * Refuses the update when the machine is not, or no longer, as the caller expects. Called again
   * before the intent is stored.
   */
  readonly check: (machine: Machine) => void;
  /** Whether the machine was stopped since the update was asked for: it is not started then. */
  readonly wasStopped: () => boolean;
}

/** Times that a start is tried which the host refuses for a moment. */
const MAX_ATTEMPTS = 20;

/**
 * One update of a machine: the intent, the stop of the old VM, the start of the new one, and the
 * rollback.
 */
export class UpdateOperation {
  readonly #runtime: MachineRuntime;
  readonly #parts: UpdateParts;
  readonly #trial = Promise.withResolvers<void>();
  #hasBegunTrial = false;
  #stop: StopOperation | undefined;
  /** By {@link escalate}, of a stop that has not begun. */
  #stopOptions: StopOptions = {};

  constructor(runtime: MachineRuntime, parts: UpdateParts) {
    this.#runtime = runtime;
    this.#parts = parts;
  }

  /** Whether the new version has run, as it must for a while before it counts. */
  get hasBegun(): boolean {
    return this.#hasBegunTrial;
  }

  /** Resolves when the new version runs and does not count yet; never without a rollback. */
  get begun(): Promise<void> {
    return this.#trial.promise;
  }

  /** Shortens the stop of the old VM. */
  escalate(options: StopOptions): void {
    this.#stopOptions = { ...this.#stopOptions, ...options };
    this.#stop?.escalate(options);
  }

  /**
   * Replaces the version of the machine.
   *
   * @throws Fault INVALID_STATE: it was stopped meanwhile. Of `check`, HOST_DRAINING,
   *   INSUFFICIENT_CAPACITY, NO_FREE_PORT, DISK_FULL: the machine is unchanged. ROLLED_BACK. As
   *   {@link launch} does: the new version is there, and `failed`
   */
  async run(update: NewVersion, signal: AbortSignal): Promise<Machine> {
    await this.#endWhatIsLeft(signal);
    const isHeldBack = update.launch && update.wasStopped() && isStartable(this.#runtime.machine.state);
    await this.#intend(isHeldBack ? { ...update, launch: false } : update);
    signal.throwIfAborted();
    const machine = await this.#finish(signal);
    if (isHeldBack) throw cancelled(machine.id, "stopped");
    return machine;
  }

  /** Goes on with an update whose intent is stored. */
  async resume(signal: AbortSignal): Promise<Machine> {
    await this.#runStop(() => undefined);
    signal.throwIfAborted();
    return this.#finish(signal);
  }

  /** Ends what an earlier hostd has left: another update, or a VM that could not be taken over. */
  async #endWhatIsLeft(signal: AbortSignal): Promise<void> {
    const { state } = this.#runtime.machine;
    if (state === "updating") await this.resume(signal);
    if (state === "starting" || state === "stopping") await this.#runStop();
  }

  /**
   * Allocates the resources of the new version, stores the intent with the stop of the old VM, and
   * stops that.
   */
  async #intend({ version, key, check, wasStopped: _, ...options }: NewVersion): Promise<void> {
    const { id, machine } = this.#runtime;
    const { ledger, scheduling, number } = this.#parts;
    check(machine);
    if (willLaunch(machine, options)) refuseWhileDraining(scheduling, number);
    const { cpus, memoryMb } = version.config.guest;
    const resources = { ...machine.spec.resources, cpus, memoryMb };
    const ports = await portsOfVersion(this.#parts.ports, machine, version.config.services);
    try {
      await this.#runStop((now, stop, at) => {
        check(now);
        // In turn with other changes: one of a machine that is started ends what is reserved for it.
        ledger.resize(id, resources, willLaunch(now, options));
        return updated(now, { ...version, resources }, options, { ports, stop, key }, at);
      });
    } catch (err) {
      if (this.#runtime.machine.spec.instanceId === version.instanceId) throw err;
      ledger.restoreSize(id, machine.spec.resources);
      ledger.unreserve(id);
      this.#parts.ports.release(ports.filter((port) => !machine.ports.includes(port)));
      throw err;
    }
  }

  async #runStop(intent?: StopIntent): Promise<void> {
    this.#stop = new StopOperation(this.#runtime, this.#parts, this.#stopOptions, intent);
    await this.#stop.run();
  }

  /** Starts the version that is to run, until one does or none can. */
  async #finish(signal: AbortSignal): Promise<Machine> {
    let failure: Fault | undefined;
    while (this.#runtime.machine.state === "updating") {
      const { machine } = this.#runtime;
      if (goesBack(machine)) {
        failure = notReady(machine);
        const { spec } = await this.#runtime.intend(rolledBack);
        this.#parts.ledger.restoreSize(machine.id, spec.resources);
        continue;
      }
      try {
        await this.#launch(signal);
        await this.#untilReady(signal);
      } catch (err) {
        if (signal.aborted || this.#parts.closing.aborted || !goesBack(this.#runtime.machine))
          throw failure ? withEnd(failure, this.#runtime.machine, err) : err;
      }
    }
    if (failure) throw failure;
    return this.#runtime.machine;
  }

  /** Starts the present version. Tries again when the host has no slot for a moment. */
  async #launch(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await launch(this.#runtime, this.#parts, signal, { cause: "update" });
        return;
      } catch (err) {
        const { state } = this.#runtime.machine;
        if (signal.aborted || this.#parts.closing.aborted || state !== "updating") throw err;
        if (goesBack(this.#runtime.machine)) throw err;
        const fault = err instanceof Fault ? err : startFailedFault(String(err), "vmm", err);
        if (fault.retryAfterMs !== undefined && attempt < MAX_ATTEMPTS) {
          await sleep(fault.retryAfterMs, signal);
          signal.throwIfAborted();
          continue;
        }
        const { reason, message } = fault;
        await this.#runtime.intend((machine, at) => updateRefused(machine, { reason, message }, at));
        throw fault;
      }
    }
  }

  /** Waits as long as a new process must run to count. */
  async #untilReady(signal: AbortSignal): Promise<void> {
    const { update } = this.#runtime.machine;
    if (update?.readyAtMs === undefined) return;
    this.#hasBegunTrial = true;
    this.#trial.resolve();
    const leftMs = Math.max(0, update.readyAtMs - this.#parts.clock.now());
    const hasEnded = await endsWithin(leftMs, this.#runtime.ended, signal);
    if (!hasEnded) await this.#runtime.intend(ready);
    signal.throwIfAborted();
  }
}

/** Whether the new version of a machine is not ready, and the old one comes back. */
function goesBack({ state, update }: Machine): boolean {
  return state === "updating" && update?.failure !== undefined && !update.isRollback;
}
