import type { PortNames } from "../route.ts";
import { Hostnames } from "./hostnames.ts";
import { PortOwners } from "./port-owners.ts";
import { type PortPool, poolOf } from "./port-pool.ts";
import type { AppRoute, HostRoute, MachineRoute, Routes, RoutesChange } from "./routes.ts";

/** What a change of the table was about. */
export interface TableChange {
  readonly apps: ReadonlySet<string>;
  readonly machines: ReadonlySet<string>;
  /** Numbers. */
  readonly hosts: ReadonlySet<number>;
}

interface AppEntry {
  /** Undefined: only its machines are known. */
  route: AppRoute | undefined;
  readonly machines: Map<string, MachineRoute>;
  /** Pools by port, until something changes. Null: none. */
  readonly pools: Map<number, PortPool | null>;
}

/** Apps, host names, machines and hosts, as the apis tell them. */
export class RouteTable {
  readonly #apps = new Map<string, AppEntry>();
  readonly #machines = new Map<string, MachineRoute>();
  readonly #hosts = new Map<number, HostRoute>();
  readonly #hostnames: Hostnames;
  readonly #ports: PortOwners;
  readonly #listeners: ((change: TableChange) => void)[] = [];
  #position = "";

  /** @param domains see {@link Hostnames} */
  constructor(domains: readonly string[]) {
    this.#hostnames = new Hostnames(domains);
    this.#ports = new PortOwners((app) => this.#apps.get(app)?.machines.values() ?? []);
  }

  /** How far the table is; empty: it has never been complete. */
  get position(): string {
    return this.#position;
  }

  get size() {
    return { apps: this.#apps.size, machines: this.#machines.size, hosts: this.#hosts.size };
  }

  /** Calls back after each change. */
  onChange(listener: (change: TableChange) => void): void {
    this.#listeners.push(listener);
  }

  machine(id: string): MachineRoute | undefined {
    return this.#machines.get(id);
  }

  machines(): Iterable<MachineRoute> {
    return this.#machines.values();
  }

  host(number: number): HostRoute | undefined {
    return this.#hosts.get(number);
  }

  hosts(): Iterable<HostRoute> {
    return this.#hosts.values();
  }

  app(name: string): AppRoute | undefined {
    return this.#apps.get(name)?.route;
  }

  appOfHostname(hostname: string): AppRoute | undefined {
    const name = this.#hostnames.find(hostname);
    return name === undefined ? undefined : this.app(name);
  }

  /** Finds the app that has a port for itself. */
  appOfPort(port: number): AppRoute | undefined {
    const owner = this.#ports.at(port);
    return typeof owner === "string" ? this.app(owner) : undefined;
  }

  /** Says how apps are served by host name at a port that none has for itself. */
  namesAt(port: number): PortNames | undefined {
    const owner = this.#ports.at(port);
    return typeof owner === "string" ? undefined : owner;
  }

  /** Notes who has these ports: apps that want them later do not get them. */
  claim(ports: Iterable<number>): void {
    for (const port of ports) this.#ports.claim(port);
  }

  /** @returns undefined when no machine of the app has a service at the port */
  pool(app: string, port: number): PortPool | undefined {
    const entry = this.#apps.get(app);
    if (!entry?.route) return undefined;
    let pool = entry.pools.get(port);
    if (pool === undefined) {
      pool = poolOf(entry.route, [...entry.machines.values()], port) ?? null;
      entry.pools.set(port, pool);
    }
    return pool ?? undefined;
  }

  /** Takes everything anew. */
  replace(routes: Routes): void {
    const apps = new Set(this.#apps.keys());
    const machines = new Set(this.#machines.keys());
    for (const map of [this.#apps, this.#machines, this.#hosts, this.#hostnames]) map.clear();
    if (routes.ports) this.#ports.restore(routes.ports);
    this.#take(routes, apps, machines);
  }

  /** Takes a change over. */
  apply(change: RoutesChange): void {
    const apps = new Set<string>();
    const machines = new Set<string>();
    for (const name of change.goneApps) this.#removeApp(name, apps);
    for (const id of change.goneMachines) this.#removeMachine(id, apps, machines);
    this.#take(change, apps, machines);
  }

  /** Returns everything, for the file. */
  dump(): Routes {
    return {
      position: this.#position,
      apps: [...this.#apps.values()].flatMap(({ route }) => route ?? []),
      machines: [...this.#machines.values()],
      hosts: [...this.#hosts.values()],
      ports: this.#ports.dump(),
    };
  }

  #take(routes: Routes, apps: Set<string>, machines: Set<string>): void {
    for (const host of routes.hosts) this.#hosts.set(host.number, host);
    for (const app of routes.apps) this.#setApp(app, apps);
    for (const machine of routes.machines) this.#setMachine(machine, apps, machines);
    if (routes.position !== "") this.#position = routes.position;
    for (const name of apps) this.#refresh(name);
    this.#ports.changed();
    const hosts = new Set(routes.hosts.map(({ number }) => number));
    for (const listener of this.#listeners) listener({ apps, machines, hosts });
  }

  #setApp(route: AppRoute, changed: Set<string>): void {
    const entry = this.#entry(route.name);
    if (entry.route) this.#hostnames.remove(entry.route);
    entry.route = route;
    this.#hostnames.add(route);
    changed.add(route.name);
  }

  #removeApp(name: string, changed: Set<string>): void {
    const entry = this.#apps.get(name);
    if (!entry) return;
    if (entry.route) this.#hostnames.remove(entry.route);
    entry.route = undefined;
    changed.add(name);
  }

  /** Changes may come again: an older one than what is known is left out. */
  #setMachine(machine: MachineRoute, apps: Set<string>, machines: Set<string>): void {
    const known = this.#machines.get(machine.id);
    if (known && known.generation > machine.generation) return;
    this.#machines.set(machine.id, machine);
    this.#entry(machine.app).machines.set(machine.id, machine);
    apps.add(machine.app);
    machines.add(machine.id);
  }

  #removeMachine(id: string, apps: Set<string>, machines: Set<string>): void {
    const known = this.#machines.get(id);
    if (!known) return;
    this.#machines.delete(id);
    this.#apps.get(known.app)?.machines.delete(id);
    apps.add(known.app);
    machines.add(id);
  }

  #entry(name: string): AppEntry {
    let entry = this.#apps.get(name);
    if (!entry) {
      entry = { route: undefined, machines: new Map(), pools: new Map() };
      this.#apps.set(name, entry);
    }
    return entry;
  }

  #refresh(name: string): void {
    const entry = this.#apps.get(name);
    this.#ports.refresh(name);
    if (!entry) return;
    entry.pools.clear();
    if (!entry.route && entry.machines.size === 0) this.#apps.delete(name);
  }
}
