import { LRUCache } from "lru-cache";
import { Fault } from "../../lib/faults/fault.ts";
import { type MachineId, parseMachineId } from "./machine-id.ts";
import type { Machines } from "./machines.ts";

/** Machines whose app is cached. */
const MAX_KNOWN = 50_000;
const LOOKUP_MS = 10_000;

/** Finds the app of a machine. It never changes, so it is cached. */
export class MachineApps {
  readonly #machines: Pick<Machines, "get">;
  readonly #known = new LRUCache<string, string>({ max: MAX_KNOWN });

  constructor(machines: Pick<Machines, "get">) {
    this.#machines = machines;
  }

  /**
   * Returns undefined when the organisation has no such machine.
   *
   * @throws Fault when neither its host nor the database answers
   */
  async find(machineId: string, org: string, signal?: AbortSignal): Promise<string | undefined> {
    const id = parseMachineId(machineId);
    if (!id) return undefined;
    const key = `${org} ${id}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const app = await this.#ask(id, org, signal);
    if (app !== undefined) this.#known.set(key, app);
    return app;
  }

  async #ask(id: MachineId, org: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    const limits = { remainingMs: LOOKUP_MS, ...(signal ? { signal } : {}) };
    try {
      return (await this.#machines.get(id, { org, ...limits })).machine.app;
    } catch (err) {
      if (err instanceof Fault && err.code === "NOT_FOUND") return undefined;
      throw err;
    }
  }
}
