import type { HostStatus } from "./machine.ts";
import { hostNumberOf, parseMachineId } from "./machine-id.ts";
import type { ListedMachine, MachineQuery, MachineStore } from "./machine-store.ts";
import type { MachineView } from "./machines.ts";

/** The apps, as far as lists need them. */
interface Apps {
  /** @throws Fault `APP_NOT_FOUND` */
  get(name: string, org: string): Promise<unknown>;
}

/** Lists machines from the database. No host is called: a page may have machines of hundreds of hosts. */
export class MachineLists {
  readonly #store: MachineStore;
  readonly #apps: Apps;
  readonly #statusOf: (hostNumber: number) => HostStatus;

  /** @param statusOf what is known of a host without calling it */
  constructor(store: MachineStore, apps: Apps, statusOf: (hostNumber: number) => HostStatus) {
    this.#store = store;
    this.#apps = apps;
    this.#statusOf = statusOf;
  }

  /** Reads a page. @throws Fault `APP_NOT_FOUND` when the query names an app that the caller does not have */
  async list(query: MachineQuery): Promise<readonly (ListedMachine & MachineView)[]> {
    const listed = await this.#store.list(query);
    if (listed.length === 0 && query.app !== undefined) await this.#apps.get(query.app, query.org);
    return listed.map((each) => {
      const id = parseMachineId(each.machine.id);
      return { ...each, hostStatus: id === undefined ? "unknown" : this.#statusOf(hostNumberOf(id)) };
    });
  }
}
