import type { HostStatus } from "./machine.ts";
import { hostNumberOf, parseMachineId } from "./machine-id.ts";
import type { ListedMachine, MachineQuery, MachineStore } from "./machine-store.ts";
import type { MachineView } from "./machines.ts";

export interface ListParts {
  readonly machineStore: MachineStore;
  readonly apps: {
    /** @throws Fault `APP_NOT_FOUND` */
    get(name: string, org: string): Promise<unknown>;
  };
  /** Returns what is known of a host without calling it. */
  readonly statusOf: (hostNumber: number) => HostStatus;
}

/**
 * Reads a page of machines from the database. No host is called: there may be hundreds.
 *
 * @throws Fault `APP_NOT_FOUND` when the caller does not have the app of the query
 */
export async function listMachines(
  { machineStore, apps, statusOf }: ListParts,
  query: MachineQuery,
): Promise<readonly (ListedMachine & MachineView)[]> {
  const listed = await machineStore.list(query);
  if (listed.length === 0 && query.app !== undefined) await apps.get(query.app, query.org);
  return listed.map((each) => {
    const id = parseMachineId(each.machine.id);
    return { ...each, hostStatus: id === undefined ? "unknown" : statusOf(hostNumberOf(id)) };
  });
}
