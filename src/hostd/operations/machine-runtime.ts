import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { exited, type Stamp } from "../machines/change.ts";
import type { Host } from "../machines/host.ts";
import { type Change, type ExitInfo, type Machine, type MachineId, notFound } from "../machines/machine.ts";
import type { Vm, VmExit } from "../vmm/vmm.ts";
import { signalName } from "./signals.ts";

/** Makes a machine's next value; undefined when, as things are now, there is nothing to change. */
export type Step = (machine: Machine, at: Stamp) => Change | undefined;

/** How often a VM that could not be destroyed is tried again: at first, and at last. */
const DESTROY_RETRY: Backoff = { firstMs: 200, maxMs: 30_000 };

/**
 * A machine on this host: its record, its VM while it has one, and the one way to change either. Changes are made one
 * at a time, each from the value the one before left, so nobody writes over anybody.
 */
export class MachineRuntime {
  readonly id: MachineId;
  readonly host: Host;
  /** Id of the VM of a start under way, from before there is one until it is stored or being destroyed. */
  launching: string | undefined;
  #vm: Vm | undefined;
  #ended: Promise<void> = Promise.resolve();
  #steps: Promise<unknown> = Promise.resolve();

  constructor(id: MachineId, host: Host) {
    this.id = id;
    this.host = host;
  }

  /** The machine as it is now. */
  get machine(): Machine {
    const machine = this.host.store.get(this.id);
    if (!machine) throw notFound(this.id);
    return machine;
  }

  /** Its VM, from the moment its process has been exec'ed until it has ended. */
  get vm(): Vm | undefined {
    return this.#vm;
  }

  /** Resolves when the end of the VM has been noted; at once when there is none. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Stores what is about to be done, and returns the machine after it. Throws the store's faults. */
  intend(step: Step): Promise<Machine> {
    return this.#inTurn(async () => {
      const change = step(this.machine, this.stamp());
      if (change) await this.host.store.intend(change);
      return this.machine;
    });
  }

  /** Notes what has happened. Resolves once that is visible; `durable` then says when it is on disk. */
  note(step: Step): Promise<{ readonly machine: Machine; readonly durable: Promise<void> }> {
    return this.#inTurn(async () => {
      const change = step(this.machine, this.stamp());
      const durable = change ? this.host.store.note(change) : Promise.resolve();
      return { machine: this.machine, durable };
    });
  }

  /** Takes charge of a VM whose process runs, or has run. */
  take(vm: Vm): void {
    this.#vm = vm;
    this.#ended = vm.exited.then((exit) => this.#end(vm.id, exit));
  }

  /** Destroys a VM of which nothing is known, or that does not obey, and notes that it was lost. */
  async giveUp(vmId: string, why: string): Promise<void> {
    await this.host.vmm.destroy(vmId);
    await this.#end(vmId, {
      kind: "vm_lost",
      oomKilled: false,
      exitedAtUs: this.host.clock.now() * 1_000,
      detail: why,
    });
  }

  /** Resolves when VMs of earlier starts have been destroyed. */
  cleared(): Promise<void> {
    // A VM is kept until its end is durable.
    this.host.store.flush();
    return this.host.teardowns.of(this.id);
  }

  /** Destroys a VM beside the calls, once `after` is over, and then gives back its CPU and memory. */
  discard(vmId: string, after: Promise<void> = Promise.resolve()): void {
    this.host.teardowns.begin(this.id, vmId, () => after.then(() => this.#tearDown(vmId)));
  }

  /** Stops listening to the VM, which goes on. */
  async detach(): Promise<void> {
    await this.#vm?.detach();
  }

  stamp(): Stamp {
    const nowMs = this.host.clock.now();
    return { nowMs, eventId: this.host.ids.event(nowMs) };
  }

  async #end(vmId: string, exit: VmExit): Promise<void> {
    let isOurs = false;
    const { durable } = await this.note((machine, at) => {
      if (machine.vmId !== vmId) return undefined;
      isOurs = true;
      return exited(
        machine,
        exitInfo(machine, exit),
        exit.kind === "vm_lost" ? (exit.detail ?? "") : undefined,
        at,
      );
    });
    if (!isOurs) return;
    this.#vm = undefined;
    this.#ended = Promise.resolve();
    // Not before the exit is durable: until then the VM is what remembers it.
    this.discard(vmId, durable);
  }

  async #tearDown(vmId: string): Promise<void> {
    for (let failures = 0; !this.host.closing.aborted; failures += 1) {
      try {
        await this.host.vmm.destroy(vmId);
        this.host.ledger.releaseVm(this.id, vmId);
        return;
      } catch (error) {
        this.host.log.error("could not destroy a VM", { machine_id: this.id, vm_id: vmId, error });
        await sleep(backoffMs(DESTROY_RETRY, failures), this.host.closing, { ref: false });
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#steps.then(work);
    this.#steps = result.catch(() => {});
    return result;
  }
}

function exitInfo(machine: Machine, exit: VmExit): ExitInfo {
  const code = exit.signal === undefined ? exit.exitCode : 128 + exit.signal;
  return {
    ...(code === undefined ? {} : { exitCode: code }),
    signal: exit.signal === undefined ? "" : signalName(exit.signal),
    oomKilled: exit.oomKilled,
    requestedStop: machine.state === "stopping" || machine.state === "destroying",
    exitedAtMs: Math.round(exit.exitedAtUs / 1_000),
  };
}
