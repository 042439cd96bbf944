import { hostNumberOf, parseMachineId } from "../ids/machine-id.ts";
import { type HostStatus, MACHINE_STATES, type MachineState } from "../machine.ts";
import type { MachineView } from "../machines.ts";
import type { FreshHosts, FreshMachine, FreshRead } from "./fresh.ts";
import type { ListedMachine, ListStore, MachineQuery } from "./list-store.ts";

export interface ListParts {
  readonly listStore: ListStore;
  readonly apps: {
    /** @throws Fault `APP_NOT_FOUND` */
    get(name: string, org: string): Promise<unknown>;
  };
  /** Returns what is known of a host without calling it. */
  readonly statusOf: (hostNumber: number) => HostStatus;
  readonly freshHosts: FreshHosts;
}

/** Machines that are read at once at least: hosts may have other states than the database. */
const MIN_READ = 100;

/**
 * Reads a page of machines from the database.
 *
 * @param fresh asks the hosts too. Absent: no host is called
 * @throws Fault `APP_NOT_FOUND` when the caller does not have the app of the query
 */
export async function listMachines(
  { listStore, apps, statusOf }: ListParts,
  query: MachineQuery,
  fresh?: FreshRead,
): Promise<readonly (ListedMachine & MachineView)[]> {
  const listed: readonly FreshMachine[] = fresh
    ? await listFresh(listStore, query, fresh)
    : await listStore.list(query);
  if (listed.length === 0 && query.app !== undefined) await apps.get(query.app, query.org);
  return listed.map(({ hostStatus, ...each }) => {
    const id = parseMachineId(each.machine.id);
    const known = id === undefined ? "unknown" : statusOf(hostNumberOf(id));
    return { ...each, hostStatus: hostStatus ?? known };
  });
}

/** Reads machines in all states, as hosts may have them in other states than the database. */
async function listFresh(
  listStore: ListStore,
  query: MachineQuery,
  fresh: FreshRead,
): Promise<readonly FreshMachine[]> {
  const found: FreshMachine[] = [];
  let from = query;
  while (!fresh.isOver) {
    const limit = Math.max(query.limit - found.length, MIN_READ);
    const rows = await listStore.list({ ...from, states: statesToRead(query.states), limit });
    const refreshed = await fresh.refresh(rows);
    found.push(...refreshed.filter(({ machine }) => query.states.includes(machine.state)));
    const last = rows.at(-1);
    if (found.length >= query.limit || rows.length < limit || !last) return found.slice(0, query.limit);
    from = { ...from, after: last.key };
  }
  const rest = await listStore.list({ ...from, limit: query.limit - found.length });
  return [...found, ...(await fresh.refresh(rest))];
}

function statesToRead(states: readonly MachineState[]): readonly MachineState[] {
  return states.includes("destroyed")
    ? MACHINE_STATES
    : MACHINE_STATES.filter((state) => state !== "destroyed");
}
