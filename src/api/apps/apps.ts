import { Fault, hasReason } from "../../lib/runtime/fault.ts";
import type { Machine } from "../machines/machine.ts";
import { parseMachineId } from "../machines/machine-id.ts";
import type { MachineStore } from "../machines/machine-store.ts";
import type { Machines } from "../machines/machines.ts";
import type { Caller } from "../requests/scope.ts";
import type { AppStore } from "./app-store.ts";

/** Machines that are destroyed at the same time. */
const PARALLEL = 8;
/** Machines that are read at once. */
const BATCH = 200;

/** Deleting an app, which may take its machines along. */
export class Apps {
  readonly #apps: AppStore;
  readonly #records: MachineStore;
  readonly #machines: Machines;

  constructor(apps: AppStore, records: MachineStore, machines: Machines) {
    this.#apps = apps;
    this.#records = records;
    this.#machines = machines;
  }

  /**
   * Deletes an app; with `force`, its machines first.
   *
   * @returns machines that were destroyed
   * @throws Fault `APP_NOT_FOUND`, `APP_NOT_EMPTY`, `HOST_UNREACHABLE`
   */
  async delete(name: string, force: boolean, caller: Caller): Promise<number> {
    await this.#apps.get(name, caller.org);
    let destroyed = 0;
    for (let found = force; found; ) {
      const ids = await this.#records.ofApp(name, caller.org, BATCH);
      destroyed += await this.#destroyAll(ids, caller);
      found = ids.length === BATCH;
    }
    await this.#apps.delete(name, caller.org);
    return destroyed;
  }

  /** Destroys what can be destroyed, then throws the first fault of what cannot. */
  async #destroyAll(ids: readonly string[], caller: Caller): Promise<number> {
    const queue = [...ids];
    const gone: Machine[] = [];
    let fault: unknown;
    const work = async () => {
      for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
        try {
          gone.push(await this.#destroy(id, caller));
        } catch (err) {
          fault ??= err;
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    // Their hosts will report the same, a little later than the app is to be deleted.
    await this.#records.apply(gone, []);
    if (fault === undefined) return gone.length;
    if (!hasReason(fault, "HOST_UNREACHABLE") && !hasReason(fault, "HOST_UNKNOWN")) throw fault;
    throw new Fault(
      "UNAVAILABLE",
      "HOST_UNREACHABLE",
      `${gone.length} machines were destroyed; the hosts of the others did not answer, try again when they are back`,
      { destroyed: String(gone.length), left: String(ids.length - gone.length) },
      { cause: fault },
    );
  }

  async #destroy(id: string, caller: Caller): Promise<Machine> {
    const machineId = parseMachineId(id);
    if (!machineId) throw new Error(`the record has a machine with the id ${id}`);
    return this.#machines.destroy(machineId, true, caller);
  }
}
