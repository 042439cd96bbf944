import { expect } from "vitest";
import {
  type AppRoute,
  type HostRoute,
  type MachineRoute,
  WatchRoutesResponse,
} from "../../../../src/gen/windhover/admin/v1/routes.ts";
import { openStream } from "../../../../src/lib/grpc/client.ts";
import type { Clients } from "../clients.ts";

/** A proxy that watches routes, and keeps them as a proxy does. */
export class RouteWatcher {
  readonly apps = new Map<string, AppRoute>();
  readonly machines = new Map<string, MachineRoute>();
  readonly hosts = new Map<number, HostRoute>();
  /** Of the last response that had one. */
  position = "";
  /** How often it was sent everything. */
  begins = 0;
  /** Of all machines that it was sent, those that are gone too. */
  machinesTold: string[] = [];
  readonly bytes: number[] = [];
  readonly ended: Promise<unknown>;
  readonly #end = new AbortController();

  constructor(clients: Clients, afterPosition = "") {
    this.ended = this.#read(clients, afterPosition).then(
      () => undefined,
      (err: unknown) => err,
    );
  }

  /** Waits until it has everything. */
  async complete(): Promise<this> {
    await expect.poll(() => this.position, { timeout: 20_000 }).not.toBe("");
    return this;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.ended;
  }

  async #read({ routes }: Clients, afterPosition: string): Promise<void> {
    const scope = { timeoutMs: Number.POSITIVE_INFINITY, signal: this.#end.signal };
    for await (const told of openStream(routes, routes.watchRoutes, { afterPosition }, scope)) {
      if (told.beginsAnew) this.begins += 1;
      for (const app of told.apps) {
        if (app.org === "") this.apps.delete(app.name);
        else this.apps.set(app.name, app);
      }
      for (const machine of told.machines) {
        this.machinesTold.push(machine.id);
        if (machine.region === "") this.machines.delete(machine.id);
        else this.machines.set(machine.id, machine);
      }
      for (const host of told.hosts) this.hosts.set(host.number, host);
      this.bytes.push(WatchRoutesResponse.encode(told).finish().length);
      if (told.position !== "") this.position = told.position;
    }
  }
}
