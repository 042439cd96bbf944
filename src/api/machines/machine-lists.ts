import type { AppStore } from "../apps/app-store.ts";
import type { HostStatus, Machine } from "./machine.ts";
import { hostNumberOf, parseMachineId } from "./machine-id.ts";
import type { ListedMachine, MachineQuery, MachineStore } from "./machine-store.ts";

/** What is known of a host by its number, without asking it. */
export type HostPresence = (hostNumber: number) => HostStatus;

/** A machine in a list, its place there, and what is known of its host. */
export interface SeenInList extends ListedMachine {
  readonly hostStatus: HostStatus;
}

/** Lists of machines from the central record. No host is asked: a page may have machines of hundreds, and some of them gone. */
export class MachineLists {
  readonly #machines: MachineStore;
  readonly #apps: AppStore;
  readonly #presence: HostPresence;

  constructor(machines: MachineStore, apps: AppStore, presence: HostPresence) {
    this.#machines = machines;
    this.#apps = apps;
    this.#presence = presence;
  }

  /** A page. @throws Fault `APP_NOT_FOUND` when only an app's machines are asked for and it is not the caller's */
  async list(query: MachineQuery): Promise<readonly SeenInList[]> {
    const machines = await this.#machines.list(query);
    if (machines.length === 0 && query.app !== undefined) await this.#apps.get(query.app, query.org);
    return machines.map((listed) => ({ ...listed, hostStatus: this.#hostStatus(listed.machine) }));
  }

  #hostStatus(machine: Machine): HostStatus {
    const id = parseMachineId(machine.id);
    return id === undefined ? "unknown" : this.#presence(hostNumberOf(id));
  }
}
