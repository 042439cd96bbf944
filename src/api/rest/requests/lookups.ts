import { Fault } from "../../../lib/faults/fault.ts";

/** Finds apps and machines, whatever the caller's token is restricted to. */
export interface LookupSources {
  /** Returns the app of a machine; undefined when the organisation has no such machine. */
  appOf(machineId: string, org: string, signal?: AbortSignal): Promise<string | undefined>;
  /** @throws Fault APP_NOT_FOUND, ... */
  requireApp(app: string, org: string): Promise<void>;
  /** Returns the name of an organisation; undefined when there is none. */
  nameOfOrg(org: string): Promise<string | undefined>;
}

/** Looks up what REST answers need beside their calls: gRPC's calls name no app of a machine, and no name of an organisation. */
export class Lookups {
  readonly #sources: LookupSources;

  constructor(sources: LookupSources) {
    this.#sources = sources;
  }

  /** Returns the name of an organisation: its slug when it cannot be looked up. Never throws. */
  async nameOfOrg(org: string): Promise<string> {
    const name = await this.#sources.nameOfOrg(org).catch(() => undefined);
    return name || org;
  }

  /** @throws Fault APP_NOT_FOUND, MACHINE_NOT_FOUND */
  async requireMachine(app: string, machineId: string, org: string, signal: AbortSignal): Promise<void> {
    if ((await this.#sources.appOf(machineId, org, signal)) === app) return;
    await this.#sources.requireApp(app, org);
    throw new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `app ${app} has no machine ${machineId}`, {
      machine_id: machineId,
    });
  }
}
