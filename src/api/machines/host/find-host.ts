import { Fault, hasReason } from "../../../lib/faults/fault.ts";
import { hostNumberOf, type MachineId } from "../ids/machine-id.ts";
import type { MachineStore } from "../machine-store.ts";
import type { HostAddress, HostDirectory } from "./host-address.ts";

/** Finds the hosts of machines, and machines that hosts have forgotten. */
export interface HostLookup {
  readonly directory: HostDirectory;
  readonly store: Pick<MachineStore, "find">;
}

/** Returns the host that a machine's id names. @throws Fault `HOST_UNKNOWN` */
export async function findHost(directory: HostDirectory, id: MachineId): Promise<HostAddress> {
  const number = hostNumberOf(id);
  const host = directory.get(number) ?? (await directory.find(number));
  if (!host) {
    const message = `machine ${id} would be on host ${number}, and no host with that number has announced itself here`;
    throw new Fault("NOT_FOUND", "HOST_UNKNOWN", message, { machine_id: id, host_number: String(number) });
  }
  return host;
}

/**
 * Calls the host of a machine. A destroyed machine that its host has forgotten is `INVALID_STATE`
 * instead of `MACHINE_NOT_FOUND`.
 *
 * @param verb what is done, e.g. `start`, for the message
 * @throws Fault of the host, `HOST_UNKNOWN`, `HOST_UNREACHABLE`, `INVALID_STATE`
 */
export async function atHost<T>(
  { directory, store }: HostLookup,
  id: MachineId,
  org: string,
  verb: string,
  act: (host: HostAddress) => Promise<T>,
): Promise<T> {
  try {
    return await act(await findHost(directory, id));
  } catch (err) {
    if (!hasReason(err, "MACHINE_NOT_FOUND")) throw err;
    // Without the database the host's answer stands.
    const machine = await store.find(id, org).catch(() => undefined);
    throw machine?.state === "destroyed" ? isDestroyed(id, verb) : err;
  }
}

/** Makes the fault of a call for a machine that is destroyed. */
export function isDestroyed(id: MachineId, verb: string): Fault {
  const message = `unable to ${verb} machine from current state: 'destroyed'`;
  return new Fault("FAILED_PRECONDITION", "INVALID_STATE", message, { machine_id: id, state: "destroyed" });
}
