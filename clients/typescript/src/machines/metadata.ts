import type { Caller } from "../calls/caller.ts";
import { MachinesServiceClient } from "../gen/windhover/machines/v1/machines.ts";
import { type Machine, machineFromProto } from "../values/machine.ts";
import type { MetadataOptions } from "./requests.ts";
import { DEFAULTS } from "./timeouts.ts";

type Change = { readonly set?: Entries; readonly remove?: readonly string[]; readonly replace?: boolean };
type Entries = Readonly<Record<string, string>>;

/** Metadata of machines: changed without a new version and without a restart. */
export class Metadata {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** Sets entries, and leaves the others. */
  set(machineId: string, entries: Entries, options?: MetadataOptions): Promise<Machine> {
    return this.#change(machineId, { set: entries }, options);
  }

  /** Removes keys. One that is not there is no error. */
  remove(machineId: string, keys: readonly string[], options?: MetadataOptions): Promise<Machine> {
    return this.#change(machineId, { remove: keys }, options);
  }

  /** Sets entries, and removes all others. */
  replace(machineId: string, entries: Entries, options?: MetadataOptions): Promise<Machine> {
    return this.#change(machineId, { set: entries, replace: true }, options);
  }

  async #change(machineId: string, change: Change, options: MetadataOptions = {}): Promise<Machine> {
    const { currentVersion = "", timeoutMs = DEFAULTS.callMs, signal } = options;
    const { set = {}, remove = [], replace = false } = change;
    const message = { machineId, set: { ...set }, remove: [...remove], replace, currentVersion };
    const method = (client: MachinesServiceClient) => client.updateMetadata;
    const scope = { timeoutMs, signal, retry: "always" } as const;
    const { machine } = await this.#caller.unary(MachinesServiceClient, method, message, scope);
    return machineFromProto(machine);
  }
}
