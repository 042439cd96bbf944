import { join } from "node:path";
import type { Change, Machine, MachineEvent } from "../../../../src/hostd/machines/machine.ts";
import { Store } from "../../../../src/hostd/store/store.ts";
import type { SealingKeys } from "../../../../src/lib/sealing/sealing-keys.ts";
import { machineIn } from "../../../support/hostd/machine-builder.ts";
import { SEALING_KEYS } from "../../../support/hostd/sealing-keys.ts";
import { temporaryFolder } from "../../../support/temporary.ts";

/** The folder of a host's database, and the stores that were opened on it. */
export class StoreFolder {
  readonly #folder = temporaryFolder("store");
  readonly path = this.#folder.path;
  readonly database = join(this.path, "state.db");
  readonly #stores: Store[] = [];

  async open(options: { maxPages?: number; keys?: SealingKeys } = {}): Promise<Store> {
    const onDeath = (err: Error): void => {
      throw err;
    };
    const store = await Store.open({ path: this.database, keys: SEALING_KEYS, onDeath, ...options });
    this.#stores.push(store);
    return store;
  }

  async close(): Promise<void> {
    await Promise.all(this.#stores.map((store) => store.close()));
    this.#folder.remove();
  }
}

export const EVENT: MachineEvent = {
  id: "01HF7YAT000000000000000000",
  type: "launch",
  status: "creating",
  source: "user",
  timeMs: 1,
  message: "",
  reason: "",
};

/** A new machine. */
export const NEW: Change = { machine: machineIn("creating"), event: EVENT };

/** The next change of a machine. */
export function next(machine: Machine, fields: Partial<Machine> = {}): Change {
  return { machine: { ...machine, ...fields, generation: machine.generation + 1 }, event: EVENT };
}
