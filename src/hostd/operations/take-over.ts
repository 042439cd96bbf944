import { logger } from "../../lib/runtime/log.ts";
import { started, startInterrupted } from "../machines/change.ts";
import { suspendFailed, withoutSaved } from "../machines/decisions/suspend.ts";
import type { Change, Machine } from "../machines/machine.ts";
import type { Stamp } from "../machines/stamp.ts";
import type { Vmm } from "../vmm/vmm.ts";
import type { DueWork } from "./due-work.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import { type SinkParts, sinkOf } from "./machine-sink.ts";
import { finishRemoval, type RemoveParts } from "./remove.ts";
import type { RequestQueue } from "./requests/request-queue.ts";
import type { Snapshots } from "./saves/snapshots.ts";
import { noteSaved, type SuspendParts } from "./saves/suspend-operation.ts";
import type { Restarts } from "./stops/restarts.ts";
import type { Stops } from "./stops/stops.ts";
import type { Updates } from "./updates/updates.ts";

export type TakeOverParts = SinkParts &
  SuspendParts &
  RemoveParts & { readonly vmm: Pick<Vmm, "adopt" | "saved" | "hasSaved"> };

/** The operations of a machine that an earlier hostd may have begun. */
interface Operations {
  readonly snapshots: Pick<Snapshots, "adopt">;
  readonly stops: Pick<Stops, "resume">;
  readonly restarts: Pick<Restarts, "resume">;
  readonly updates: Pick<Updates, "resume">;
  readonly due: Pick<DueWork, "arm">;
}

/** Takes over what an earlier hostd has left of one machine. */
export class TakeOver {
  readonly #runtime: MachineRuntime;
  readonly #queue: RequestQueue;
  readonly #parts: TakeOverParts;
  readonly #operations: Operations;
  #underWay: Promise<void> | undefined;

  constructor(runtime: MachineRuntime, queue: RequestQueue, parts: TakeOverParts, operations: Operations) {
    this.#runtime = runtime;
    this.#queue = queue;
    this.#parts = parts;
    this.#operations = operations;
  }

  /**
   * After a restart of hostd: takes over the VM of the machine, if it has one, and continues its
   * unfinished operations. Calls that come meanwhile do not wait for it.
   */
  run(): Promise<void> {
    this.#underWay ??= this.#run().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  async #run(): Promise<void> {
    const { vmId, state } = this.#runtime.machine;
    if (state === "destroying") {
      this.#finishRemoval();
      return;
    }
    if (vmId !== undefined) await this.#takeVm(vmId);
    this.#operations.due.arm();
  }

  #finishRemoval(): void {
    const runtime = this.#runtime;
    const removal = this.#queue.after(() => finishRemoval(runtime, this.#parts));
    this.#queue.add({ kind: "destroy", done: removal }).catch((error: unknown) => {
      logger.error("could not finish the removal of a machine", { machine_id: runtime.id, error });
    });
  }

  async #takeVm(vmId: string): Promise<void> {
    const runtime = this.#runtime;
    const { vmm } = this.#parts;
    if (runtime.machine.state === "suspending" && vmm.hasSaved?.(vmId)) {
      const bytes = (await vmm.saved?.())?.find(({ name }) => name === vmId)?.bytes ?? 0;
      await noteSaved(runtime, this.#parts, { vmId, bytes });
      return;
    }
    const sink = sinkOf(this.#parts, runtime.machine);
    const vm = await vmm.adopt(vmId, sink);
    if (vm) {
      let isTaken = false;
      await runtime.note((machine, at) => {
        // A stop may have destroyed it meanwhile.
        if (machine.vmId !== vmId) return undefined;
        runtime.take(vm);
        isTaken = true;
        return takenOver(machine, vm.startPath, at);
      });
      if (isTaken) {
        await this.#adoptSnapshot(vm.id);
        this.#resumeStop();
      } else {
        runtime.tearDown(vmId);
      }
    } else if (runtime.machine.vmId !== vmId) {
      return;
    } else if (runtime.machine.state === "starting") {
      const { saved } = runtime.machine;
      const isThere = saved !== undefined && vmm.hasSaved?.(saved.vmId) === true;
      await runtime.note((machine, at) => startInterrupted(isThere ? machine : withoutSaved(machine), at));
      runtime.tearDown(vmId);
    } else {
      await runtime.abandonVm(vmId, "it ended while the host's daemon was down");
    }
  }

  /** The stop that was under way goes on whatever becomes of a snapshot. */
  async #adoptSnapshot(vmId: string): Promise<void> {
    await this.#operations.snapshots.adopt(vmId).catch((error: unknown) => {
      logger.warn("the snapshot of a VM could not be taken over", { vm_id: vmId, error });
    });
  }

  /** Goes on with the stop that was under way, and with what follows it. */
  #resumeStop(): void {
    const { state, stop } = this.#runtime.machine;
    const { stops, restarts, updates } = this.#operations;
    if (stop === undefined) return;
    if (state === "stopping") {
      stops.resume().catch(() => {});
      return;
    }
    if (state === "updating") updates.resume().catch(() => {});
    if (state === "restarting") restarts.resume().catch(() => {});
  }
}

/** Records that the VM of a machine is there, and runs its process. */
function takenOver(machine: Machine, startPath: string, at: Stamp): Change | undefined {
  if (machine.state === "starting") return started(machine, startPath, at);
  if (machine.state !== "suspending") return undefined;
  return suspendFailed(machine, "SUSPEND_INTERRUPTED", "the host's daemon restarted: it goes on", at);
}
