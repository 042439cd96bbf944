import { logger } from "../../lib/runtime/log.ts";
import { within } from "../../lib/runtime/wait.ts";
import type { Machine } from "./machine.ts";
import type { MachineStore } from "./machine-store.ts";

const STORE_TIMEOUT_MS = 500;

/**
 * Stores the machine of a host's answer, so that lists and names show it at once. Never throws: the
 * host reports it too.
 */
export type RecordMachine = (machine: Machine) => Promise<void>;

export function recordMachine(store: Pick<MachineStore, "apply">): RecordMachine {
  return async (machine) => {
    try {
      await within(STORE_TIMEOUT_MS, "storing a machine", () => store.apply([machine], true));
    } catch (error) {
      logger.debug("a changed machine is stored when its host reports it", { machine_id: machine.id, error });
    }
  };
}
