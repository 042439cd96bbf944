import { destroyed, destroying } from "./change.ts";
import { end } from "./halt.ts";
import type { Machine } from "./machine.ts";
import type { Resident } from "./resident.ts";

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
export async function remove(resident: Resident, why: RemoveReason): Promise<Machine> {
  await resident.intend((machine, at) =>
    machine.state === "destroying" || machine.state === "destroyed"
      ? undefined
      : destroying(machine, why, at),
  );
  return finishRemoval(resident);
}

/** The rest of a removal whose intent is stored. */
export async function finishRemoval(resident: Resident): Promise<Machine> {
  const { host, id } = resident;
  if (resident.machine.state === "destroyed") return resident.machine;
  if (resident.vm) await end(resident, resident.vm);
  const { vmId } = resident.machine;
  if (vmId !== undefined) await resident.giveUp(vmId, "it was destroyed with its machine");
  await resident.cleared();
  await unpin(resident);
  await host.logs.remove(id);
  const { ports } = resident.machine;
  const machine = await resident.intend(destroyed);
  host.ports.release(ports);
  host.ledger.forget(id);
  return machine;
}

/** A pin that stays behind is dropped when pins are next reconciled, so an image cache that is down stops no removal. */
async function unpin(resident: Resident): Promise<void> {
  const { host, id, machine } = resident;
  try {
    await host.images.unpin({ digest: machine.spec.imageRef.digest, owner: id });
  } catch (error) {
    host.log.warn("could not unpin an image", { machine_id: id, error });
  }
}
