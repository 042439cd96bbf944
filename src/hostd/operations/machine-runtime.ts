import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { logger } from "../../lib/runtime/log.ts";
import { endsWithin, sleep } from "../../lib/runtime/wait.ts";
import { signalName } from "../../lib/signals/signals.ts";
import type { Ledger } from "../capacity/ledger.ts";
import { exited } from "../machines/change.ts";
import type { Ids } from "../machines/ids.ts";
import { type Change, type ExitInfo, type Machine, type MachineId, notFound } from "../machines/machine.ts";
import type { Stamp } from "../machines/stamp.ts";
import type { Store } from "../store/store.ts";
import type { Vm, VmExit, Vmm } from "../vmm/vmm.ts";
import type { Teardowns } from "./teardowns.ts";

/** Makes the next value of a machine; undefined when nothing is to change. */
export type Step = (machine: Machine, at: Stamp) => Change | undefined;

export interface RuntimeParts {
  readonly store: Pick<Store, "get" | "intend" | "note" | "flush">;
  readonly vmm: Pick<Vmm, "destroy">;
  readonly ledger: Pick<Ledger, "releaseVm">;
  readonly teardowns: Teardowns;
  readonly ids: Pick<Ids, "event">;
  readonly clock: Pick<Clock, "now">;
  readonly checks: { begin(runtime: MachineRuntime, vm: Vm): void };
  /** Aborts when hostd closes: destroying a VM is not retried any more. */
  readonly closing: AbortSignal;
}

/** Called, synchronously, after each change of a machine. */
export type OnChange = (after: Machine, before: Machine) => void;

/** Longest time that an answer waits until what it says is on disk. */
const STORE_LIMIT_MS = 1_000;
const DESTROY_RETRY: Backoff = { firstMs: 200, maxMs: 30_000 };

/**
 * What hostd has in memory for one machine. The only writer of the machine and of its VM: changes are made one at a time, each from
 * the value that the one before left.
 */
export class MachineRuntime {
  readonly id: MachineId;
  /** VM of a start under way that may not be stored yet. */
  launching: string | undefined;
  readonly #parts: RuntimeParts;
  readonly #onChange: OnChange;
  #vm: Vm | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Of the last note. */
  #durable: Promise<void> = Promise.resolve();
  #lastStep: Promise<unknown> = Promise.resolve();

  constructor(id: MachineId, parts: RuntimeParts, onChange: OnChange = () => {}) {
    this.id = id;
    this.#parts = parts;
    this.#onChange = onChange;
  }

  get machine(): Machine {
    const machine = this.#parts.store.get(this.id);
    if (!machine) throw notFound(this.id);
    return machine;
  }

  /** The VM, from exec until the exit has been noted. */
  get vm(): Vm | undefined {
    return this.#vm;
  }

  /** Resolves when the exit of the VM has been noted; at once without a VM. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Stores a change before it is made: see {@link Store.intend}. Returns the machine after it. */
  intend(step: Step): Promise<Machine> {
    return this.#inOrder(async () => {
      const before = this.machine;
      const change = step(before, this.#stamp());
      if (!change) return before;
      await this.#parts.store.intend(change);
      this.#onChange(change.machine, before);
      return this.machine;
    });
  }

  /** Stores a change that has happened: see {@link Store.note}. Resolves when it is visible; `durable` when it is on disk. */
  note(step: Step): Promise<{ readonly durable: Promise<void> }> {
    return this.#inOrder(async () => {
      const before = this.machine;
      const change = step(before, this.#stamp());
      if (!change) return { durable: Promise.resolve() };
      const durable = this.#parts.store.note(change);
      this.#durable = durable;
      this.#onChange(change.machine, before);
      return { durable };
    });
  }

  /** Resolves when what was noted is on disk, or the disk does not take it in time. */
  async untilDurable(): Promise<void> {
    this.#parts.store.flush();
    await endsWithin(STORE_LIMIT_MS, this.#durable);
  }

  /** Takes over a VM whose process runs or has ended, and notes its exit. */
  take(vm: Vm): void {
    this.#vm = vm;
    this.#ended = vm.exited.then((exit) => this.#end(vm.id, exit));
    this.#parts.checks.begin(this, vm);
  }

  /** Stores that a VM is not needed any more, as it is saved, and destroys it. */
  async rest(vmId: string, step: Step): Promise<void> {
    const { durable } = await this.note((machine, at) =>
      machine.vmId === vmId ? step(machine, at) : undefined,
    );
    if (this.machine.vmId === vmId) return;
    this.#vm = undefined;
    this.#ended = Promise.resolve();
    this.tearDown(vmId, durable);
  }

  /** Destroys a VM that is unknown or does not answer, and notes its end. */
  async abandonVm(vmId: string, detail: string): Promise<void> {
    await this.#parts.vmm.destroy(vmId);
    const exitedAtUs = this.#parts.clock.now() * 1_000;
    await this.#end(vmId, { kind: "vm_lost", oomKilled: false, exitedAtUs, detail });
  }

  /** Resolves when the VMs of earlier starts are destroyed. */
  untilTornDown(): Promise<void> {
    // Their exits must be durable first.
    this.#parts.store.flush();
    return this.#parts.teardowns.of(this.id);
  }

  /** Destroys a VM in the background, after `after`, and releases its CPU and memory. */
  tearDown(vmId: string, after: Promise<void> = Promise.resolve()): void {
    this.#parts.teardowns.begin(this.id, vmId, () => after.then(() => this.#destroy(vmId)));
  }

  /** Stops listening to the VM, which goes on. */
  async detach(): Promise<void> {
    await this.#vm?.detach();
  }

  #stamp(): Stamp {
    const nowMs = this.#parts.clock.now();
    return { nowMs, eventId: this.#parts.ids.event(nowMs) };
  }

  async #end(vmId: string, exit: VmExit): Promise<void> {
    let isOurs = false;
    const { durable } = await this.note((machine, at) => {
      if (machine.vmId !== vmId) return undefined;
      isOurs = true;
      const lost = exit.kind === "vm_lost" ? (exit.detail ?? "") : undefined;
      return exited(machine, exitInfo(machine, exit), lost, at);
    });
    if (!isOurs) return;
    this.#vm = undefined;
    this.#ended = Promise.resolve();
    // A restarted hostd learns of an exit that is not durable from the VM.
    this.tearDown(vmId, durable);
  }

  async #destroy(vmId: string): Promise<void> {
    const { vmm, ledger, closing } = this.#parts;
    for (let failures = 0; !closing.aborted; failures += 1) {
      try {
        await vmm.destroy(vmId);
        ledger.releaseVm(this.id, vmId);
        return;
      } catch (error) {
        logger.error("could not destroy a VM", { machine_id: this.id, vm_id: vmId, error });
        await sleep(backoffMs(DESTROY_RETRY, failures), closing, { ref: false });
      }
    }
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastStep.then(work);
    this.#lastStep = result.catch(() => {});
    return result;
  }
}

function exitInfo(machine: Machine, exit: VmExit): ExitInfo {
  const code = exit.signal === undefined ? exit.exitCode : 128 + exit.signal;
  return {
    ...(code === undefined ? {} : { exitCode: code }),
    signal: exit.signal === undefined ? "" : signalName(exit.signal),
    oomKilled: exit.oomKilled,
    requestedStop: machine.stop !== undefined || machine.state === "destroying",
    exitedAtMs: Math.round(exit.exitedAtUs / 1_000),
  };
}
