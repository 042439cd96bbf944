import { Fault, hasReason } from "../../lib/faults/fault.ts";
import { parseMachineId } from "../machines/ids/machine-id.ts";
import type { Machine } from "../machines/machine.ts";
import type { MachineStore } from "../machines/machine-store.ts";
import type { Machines } from "../machines/machines.ts";
import type { Caller } from "../requests/caller.ts";
import type { AppStore } from "./app-store.ts";

/** Machines that are destroyed at a time. */
const MAX_PARALLEL = 8;
const BATCH = 200;

export interface DeleteAppParts {
  readonly apps: AppStore;
  readonly machineStore: MachineStore;
  readonly machines: Machines;
}

/**
 * Deletes an app; with `force`, destroys its machines first. Returns their number.
 * @throws Fault `APP_NOT_FOUND`, `APP_NOT_EMPTY`, `HOST_UNREACHABLE`
 */
export async function deleteApp(
  parts: DeleteAppParts,
  name: string,
  force: boolean,
  caller: Caller,
): Promise<number> {
  await parts.apps.get(name, caller.org);
  let destroyed = 0;
  for (let hasMore = force; hasMore; ) {
    const ids = await parts.machineStore.ofApp(name, caller.org, BATCH);
    const count = await destroyAll(parts, ids, caller);
    destroyed += count;
    hasMore = ids.length === BATCH && count > 0;
  }
  await parts.apps.delete(name, caller.org, force);
  return destroyed;
}

/** Destroys as many as possible, then throws the first fault of the others. */
async function destroyAll(
  { machineStore, machines }: DeleteAppParts,
  ids: readonly string[],
  caller: Caller,
): Promise<number> {
  const queue = [...ids];
  const destroyed: Machine[] = [];
  let fault: unknown;
  const work = async () => {
    for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
      try {
        const machineId = parseMachineId(id);
        if (!machineId) throw new Error(`the database has a machine with the id ${id}`);
        destroyed.push(await machines.destroy(machineId, { force: true, ignoreLease: true }, caller));
      } catch (err) {
        // Its create or its end is under way: the app is not deleted, and the fault says so.
        if (!hasReason(err, "MACHINE_NOT_FOUND")) fault ??= err;
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_PARALLEL }, work));
  // Their hosts report the same, but later than the app is deleted.
  await machineStore.apply(destroyed, true);
  if (fault === undefined) return destroyed.length;
  if (!hasReason(fault, "HOST_UNREACHABLE") && !hasReason(fault, "HOST_UNKNOWN")) throw fault;
  throw new Fault(
    "UNAVAILABLE",
    "HOST_UNREACHABLE",
    `${destroyed.length} machines were destroyed; the hosts of the others did not answer, try again when they are back`,
    { destroyed: String(destroyed.length), left: String(ids.length - destroyed.length) },
    { cause: fault },
  );
}
