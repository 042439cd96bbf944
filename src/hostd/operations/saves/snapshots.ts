import { withRemoteParent, withSpan } from "../../../lib/otel/tracing.ts";
import { describeError, logger } from "../../../lib/runtime/log.ts";
import { TimeLimit } from "../../../lib/runtime/wait.ts";
import type { Ledger } from "../../capacity/ledger.ts";
import { type Machine, savedMbOf } from "../../machines/machine.ts";
import { type MadeSnapshot, snapshotMade, wantsSnapshot } from "../../machines/snapshot.ts";
import { measureSave } from "../../telemetry/operation-metrics.ts";
import type { Vmm } from "../../vmm/vmm.ts";
import type { MachineRuntime } from "../machine-runtime.ts";
import { operationAttributes } from "../operation-attributes.ts";
import { neededMb, SAVE_TIMEOUT_MS, saveOptions } from "./saved-vms.ts";
import type { SnapshotRoom } from "./snapshot-room.ts";

export interface SnapshotParts {
  readonly vmm: Pick<Vmm, "save" | "saved" | "hasSaved" | "dropSaved">;
  readonly ledger: Pick<Ledger, "allocateSaved" | "setSaved">;
  readonly closing: AbortSignal;
  readonly room: Pick<SnapshotRoom, "make">;
  /** For spans. */
  readonly hostName?: string;
}

/** Returns the name of the snapshot that is made of a VM. */
export function snapshotName(vmId: string): string {
  return `${vmId}-ready`;
}

/** Saves one machine when it is ready, if its configuration wants that. The machine goes on. */
export class Snapshots {
  readonly #runtime: MachineRuntime;
  readonly #parts: SnapshotParts;
  readonly #isBusy: () => boolean;
  /** VM of which one was made, or tried. */
  #triedVmId: string | undefined;
  #underWay: { readonly abort: AbortController; readonly done: Promise<void> } | undefined;

  /** @param isBusy whether an operation is under way that is to do something else with the VM */
  constructor(runtime: MachineRuntime, parts: SnapshotParts, isBusy: () => boolean) {
    this.#runtime = runtime;
    this.#parts = parts;
    this.#isBusy = isBusy;
  }

  /** Begins a snapshot that is wanted, after what is under way: no start waits for it. Called again when the machine is not busy any more. */
  changed(machine: Machine): void {
    const { vmId } = machine;
    if (!this.#parts.vmm.save || vmId === undefined || vmId === this.#triedVmId) return;
    if (this.#underWay || this.#isBusy() || !wantsSnapshot(machine)) return;
    setImmediate(() => this.#begin(vmId));
  }

  /** After a restart of hostd: takes over what was saved and not noted. A run that has been ready for long is not saved. */
  async adopt(vmId: string): Promise<void> {
    this.#triedVmId = vmId;
    const { vmm, ledger } = this.#parts;
    const { spec, snapshot } = this.#runtime.machine;
    const name = snapshotName(vmId);
    if (vmm.hasSaved?.(name) && snapshot?.name !== name) {
      const bytes = (await vmm.saved?.())?.find((each) => each.name === name)?.bytes ?? 0;
      await this.#note({ vmId, instanceId: spec.instanceId, name, bytes });
      ledger.setSaved(this.#runtime.id, savedMbOf(this.#runtime.machine));
    }
  }

  /** Ends the snapshot under way: something else is to be done with the VM. */
  async cancel(): Promise<void> {
    this.#underWay?.abort.abort(new Error("the machine is stopped or suspended"));
    await this.#underWay?.done;
  }

  #begin(vmId: string): void {
    if (this.#parts.closing.aborted || this.#runtime.vm?.id !== vmId || vmId === this.#triedVmId) return;
    // An operation may have been accepted, whose intent is being stored.
    if (this.#isBusy()) return;
    this.#triedVmId = vmId;
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#parts.closing]);
    const done = measureSave("snapshot", () => this.#make(vmId, signal))
      .catch((error: unknown) => {
        const details = { machine_id: this.#runtime.id, error: describeError(error) };
        logger.warn("a machine could not be saved for later starts", details);
      })
      .finally(() => {
        this.#underWay = undefined;
        const { machine } = this.#runtime;
        if (machine.state !== "suspending") this.#parts.ledger.setSaved(machine.id, savedMbOf(machine));
      });
    this.#underWay = { abort, done };
  }

  async #make(vmId: string, signal: AbortSignal): Promise<void> {
    const { vmm, ledger, room } = this.#parts;
    const { machine } = this.#runtime;
    const { id, spec } = machine;
    if (!vmm.save || !spec.image || !wantsSnapshot(machine)) return;
    if (!room.make(spec.org, id, neededMb(machine))) throw new Error("its organisation has no room for it");
    ledger.allocateSaved(id, savedMbOf(machine) + neededMb(machine));
    const name = snapshotName(vmId);
    using limit = new TimeLimit(SAVE_TIMEOUT_MS, signal, () => new Error("it took too long"));
    const options = saveOptions(machine, spec.image, { name, goesOn: true });
    const save = vmm.save.bind(vmm);
    const attributes = operationAttributes(machine, this.#parts.hostName);
    // A trace of its own: no call waits for it.
    const { bytes } = await withRemoteParent("", () =>
      withSpan("hostd.snapshot", attributes, () => save(vmId, options, limit.signal)),
    );
    await this.#note({ vmId, instanceId: spec.instanceId, name, bytes });
  }

  /** Records what was saved, or removes it when its run is over. */
  async #note(made: MadeSnapshot): Promise<void> {
    await this.#runtime.note((now, at) => snapshotMade(now, made, at));
    if (this.#runtime.machine.snapshot?.name !== made.name) await this.#parts.vmm.dropSaved?.(made.name);
  }
}
