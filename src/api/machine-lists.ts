import type { AppStore } from "./adapters/app-store.ts";
import type { ListedMachine, MachineQuery, MachineStore } from "./adapters/machine-store.ts";

/** Lists of machines from the central record. */
export class MachineLists {
  readonly #machines: MachineStore;
  readonly #apps: AppStore;

  constructor(machines: MachineStore, apps: AppStore) {
    this.#machines = machines;
    this.#apps = apps;
  }

  /** A page. @throws Fault `APP_NOT_FOUND` when only an app's machines are asked for and it is not the caller's */
  async list(query: MachineQuery): Promise<readonly ListedMachine[]> {
    const machines = await this.#machines.list(query);
    if (machines.length === 0 && query.app !== undefined) await this.#apps.get(query.app, query.org);
    return machines;
  }
}
