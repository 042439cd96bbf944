import { Fault } from "../lib/faults/fault.ts";
import type { LinkListener } from "./hosts/host-link.ts";
import { type HostConnector, Hosts } from "./hosts/hosts.ts";
import { IdleStops, type IdleStopsParts } from "./idle/idle-stops.ts";
import { Loads } from "./machines/loads.ts";
import type { Ask, Place, PortNames, Router, Target } from "./route.ts";
import type { RouteTable, TableChange } from "./routes/route-table.ts";
import type { AppRoute } from "./routes/routes.ts";
import type { Timers } from "./timers.ts";
import { Admission, type AdmissionObserver } from "./wakes/admission.ts";
import { FleetView } from "./wakes/fleet-view.ts";
import { Places } from "./wakes/places.ts";
import type { Start } from "./wakes/start.ts";
import { Starts } from "./wakes/starts.ts";
import type { WaitingLimits } from "./wakes/waiting-room.ts";
import { noMachine, noRoutes } from "./wakes/wake-error.ts";

/** Told what happens, for metrics. */
export interface RouterObserver extends AdmissionObserver {
  startEnded(start: Start, fault: unknown): void;
  idleStopEnded: IdleStopsParts["ended"];
}

export interface RouterOptions {
  readonly proxyId: string;
  readonly region: string;
  readonly table: RouteTable;
  readonly connector: HostConnector;
  readonly timers: Timers;
  readonly observer: RouterObserver;
  readonly limits?: WaitingLimits;
  random(): number;
}

/** Sends requests to machines: by the table of routes, and by what hosts tell. */
export class MachineRouter implements Router, LinkListener {
  readonly hosts: Hosts;
  readonly #table: RouteTable;
  readonly #starts: Starts;
  readonly #fleet: FleetView;
  readonly #places: Places;
  readonly #admission: Admission;
  readonly #idle: IdleStops;

  constructor(options: RouterOptions) {
    const { table, timers, observer, proxyId, region, connector, random } = options;
    const now = () => timers.now();
    this.#table = table;
    this.hosts = new Hosts({ proxyId, region, table, connector, listener: this, now });
    const { hosts } = this;
    const loads = new Loads();
    this.#starts = new Starts({
      timers,
      start: (machineId, traceparent, signal) => this.#start(machineId, traceparent, signal),
      view: (machineId) => hosts.linkOf(machineId)?.view(machineId),
      isLost: (machineId) => hosts.linkOf(machineId)?.state !== "up",
      begin: (machineId) => {
        const uses = hosts.linkOf(machineId)?.uses;
        uses?.begin(machineId);
        return () => uses?.end(machineId);
      },
      changed: (machineId) => this.#poke(machineId),
      ended: (start, fault) => observer.startEnded(start, fault),
    });
    this.#fleet = new FleetView(hosts, this.#starts, loads, now);
    this.#places = new Places({
      ...{ hosts, loads },
      freed: (machineId) => this.#poke(machineId),
      refused: (machineId) => this.#fleet.refused(machineId),
    });
    const parts = { table, hosts, starts: this.#starts, fleet: this.#fleet, loads, places: this.#places };
    const { limits } = options;
    this.#admission = new Admission({ ...parts, timers, observer, random, ...(limits ? { limits } : {}) });
    this.#idle = new IdleStops({ table, hosts, timers, ended: observer.idleStopEnded });
    table.onChange((change) => this.#tableChanged(change));
  }

  /** Requests that wait, and starts under way. */
  get counts() {
    let uses = 0;
    for (const { link } of this.hosts.entries()) uses += link.uses.size;
    return { waiting: this.#admission.waiting, starts: this.#starts.size, uses };
  }

  target(hostname: string, port: number): Target | undefined {
    const app = this.#table.appOfHostname(hostname);
    // Nobody may take an app for gone because this proxy has not heard of it yet.
    if (!app && this.#table.position === "") throw noRoutes();
    return app && this.#target(app, port);
  }

  appTarget(name: string, port: number): Target | undefined {
    const app = this.#table.app(name);
    return app && this.#target(app, port);
  }

  portTarget(port: number): Target | undefined {
    const app = this.#table.appOfPort(port);
    return app && this.#target(app, port);
  }

  portNames(port: number): PortNames | undefined {
    return this.#table.namesAt(port);
  }

  admit(target: Target, ask: Ask, signal: AbortSignal): Promise<Place> {
    return this.#admission.admit(target, ask, signal);
  }

  /** A host has told something of a machine. */
  machineChanged(machineId: string): void {
    const view = this.#fleet.viewOf(machineId);
    this.#starts.viewChanged(machineId);
    this.#fleet.viewChanged(machineId);
    this.#places.viewChanged(machineId, view);
    this.#poke(machineId);
  }

  /** Releases uses, and gives up starts at hosts that are gone. Must be called about once a second. */
  sweep(): void {
    this.hosts.sweepUses();
    this.#starts.sweep();
  }

  /** Asks for stops of idle machines. Must be called every few seconds. */
  stopIdle(): void {
    this.#idle.pass();
  }

  close(): void {
    this.#idle.close();
    this.#starts.close();
    this.hosts.close();
  }

  #target({ name }: AppRoute, port: number): Target {
    const pool = this.#table.pool(name, port);
    if (!pool) throw noMachine(name, port);
    return pool.target;
  }

  async #start(machineId: string, traceparent: string, signal: AbortSignal) {
    const calls = this.hosts.callsOf(machineId);
    const machine = this.hosts.called(machineId);
    if (!calls || !machine)
      throw new Fault("UNAVAILABLE", "HOST_UNREACHABLE", `the host of machine ${machineId} is not known`);
    return await calls.start(machine, traceparent, signal);
  }

  #poke(machineId: string): void {
    const machine = this.#table.machine(machineId);
    if (machine) this.#admission.poke(machine.app);
  }

  #tableChanged({ apps, machines }: TableChange): void {
    for (const id of machines) {
      if (this.#table.machine(id)) continue;
      for (const part of [this.#starts, this.#fleet, this.#idle]) part.forget(id);
    }
    for (const app of apps) this.#admission.poke(app);
  }
}
