import { destroyed, destroying } from "../machines/change.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineRuntime } from "./machine-runtime.ts";
import { end } from "./stop-operation.ts";

/** Who wants a machine gone, and why. */
export interface RemoveReason {
  readonly source: "user" | "hostd";
  readonly message: string;
}

/**
 * Removes a machine: ends what runs, and frees all it had. Also goes on with a removal that was interrupted.
 *
 * @throws Fault DISK_FULL: it is as it was, or `destroying`, from where the sweep goes on
 */
export async function remove(runtime: MachineRuntime, why: RemoveReason): Promise<Machine> {
  await runtime.intend((machine, at) =>
    machine.state === "destroying" || machine.state === "destroyed"
      ? undefined
      : destroying(machine, why, at),
  );
  return finishRemoval(runtime);
}

/** The rest of a removal whose intent is stored. */
export async function finishRemoval(runtime: MachineRuntime): Promise<Machine> {
  const { host, id } = runtime;
  if (runtime.machine.state === "destroyed") return runtime.machine;
  if (runtime.vm) await end(runtime, runtime.vm);
  const { vmId } = runtime.machine;
  if (vmId !== undefined) await runtime.giveUp(vmId, "it was destroyed with its machine");
  await runtime.cleared();
  await unpin(runtime);
  await host.logs.remove(id);
  const { ports } = runtime.machine;
  const machine = await runtime.intend(destroyed);
  host.ports.release(ports);
  host.ledger.forget(id);
  return machine;
}

/** A pin that stays behind is dropped when pins are next reconciled, so an image cache that is down stops no removal. */
async function unpin(runtime: MachineRuntime): Promise<void> {
  const { host, id, machine } = runtime;
  try {
    await host.images.unpin({ digest: machine.spec.imageRef.digest, owner: id });
  } catch (error) {
    host.log.warn("could not unpin an image", { machine_id: id, error });
  }
}
