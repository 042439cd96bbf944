import { LRUCache } from "lru-cache";
import { Fault } from "../../../lib/faults/fault.ts";

/** Machines whose app is remembered; it never changes. */
const MAX_KNOWN = 50_000;

/** Where apps and machines are found, whatever the caller's token is restricted to. */
export interface LookupSources {
  /** Returns the app of a machine. @throws Fault MACHINE_NOT_FOUND, ... */
  appOf(machineId: string, org: string, signal: AbortSignal): Promise<string>;
  /** @throws Fault APP_NOT_FOUND, ... */
  requireApp(app: string, org: string): Promise<void>;
}

/** Checks that what a path names belongs together: gRPC's calls name a machine alone. */
export class Lookups {
  readonly #sources: LookupSources;
  readonly #apps = new LRUCache<string, string>({ max: MAX_KNOWN });

  constructor(sources: LookupSources) {
    this.#sources = sources;
  }

  /** @throws Fault APP_NOT_FOUND, MACHINE_NOT_FOUND */
  async requireMachine(app: string, machineId: string, org: string, signal: AbortSignal): Promise<void> {
    const key = `${org} ${machineId}`;
    const known = this.#apps.get(key);
    if (known !== undefined) {
      if (known === app) return;
      return await this.#refuse(app, machineId, org);
    }
    let owner: string;
    try {
      owner = await this.#sources.appOf(machineId, org, signal);
    } catch (err) {
      if (!(err instanceof Fault) || (err.code !== "NOT_FOUND" && err.code !== "INVALID_ARGUMENT")) throw err;
      return await this.#refuse(app, machineId, org);
    }
    this.#apps.set(key, owner);
    if (owner !== app) await this.#refuse(app, machineId, org);
  }

  async #refuse(app: string, machineId: string, org: string): Promise<never> {
    await this.#sources.requireApp(app, org);
    throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `app ${app} has no machine ${machineId}`, {
      machine_id: machineId,
    });
  }
}
