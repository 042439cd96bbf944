import type { RouteTable, TableChange } from "../routes/route-table.ts";
import type { HostRoute } from "../routes/routes.ts";
import type { CalledMachine, MachineCalls } from "./calls-client.ts";
import { rankRegions } from "./closeness.ts";
import { HostLink, type LinkListener } from "./host-link.ts";

/** An open way to a host. */
export interface HostConnection {
  readonly calls: MachineCalls;
  close(): void;
}

/** Connects to hosts. */
export interface HostConnector {
  /** Keeps a stream open that serves `link`. */
  connect(host: HostRoute, link: HostLink): HostConnection;
}

interface Entry {
  readonly route: HostRoute;
  readonly link: HostLink;
  readonly machines: Set<string>;
  readonly connection: HostConnection;
}

export interface HostsOptions {
  readonly proxyId: string;
  readonly region: string;
  readonly table: RouteTable;
  readonly connector: HostConnector;
  readonly listener: LinkListener;
  now(): number;
}

/** For how long a use is kept after its last request, so that most requests wait for no acknowledgement. */
const KEEP_USE_MS = 10_000;
const RANK_EVERY_MS = 1_000;

/** The hosts that have routed machines, each with a stream. */
export class Hosts {
  readonly #options: HostsOptions;
  readonly #entries = new Map<number, Entry>();
  /** Host numbers of watched machines. */
  readonly #hostOf = new Map<string, number>();
  #ranks: ReadonlyMap<string, number> = new Map();
  #rankedMs = Number.NEGATIVE_INFINITY;

  constructor(options: HostsOptions) {
    this.#options = options;
    options.table.onChange((change) => this.#changed(change));
  }

  entries(): Iterable<{ readonly route: HostRoute; readonly link: HostLink }> {
    return this.#entries.values();
  }

  /** @returns undefined while its host is not known */
  linkOf(machineId: string): HostLink | undefined {
    return this.#entryOf(machineId)?.link;
  }

  callsOf(machineId: string): MachineCalls | undefined {
    return this.#entryOf(machineId)?.connection.calls;
  }

  /** Describes a machine for calls. @returns undefined when its app is gone */
  called(machineId: string): CalledMachine | undefined {
    const { table } = this.#options;
    const machine = table.machine(machineId);
    const org = machine && table.app(machine.app)?.org;
    return org === undefined ? undefined : { machineId, org };
  }

  /** Rank of a region by closeness, from 0. */
  rankOf(region: string): number {
    const now = this.#options.now();
    if (now - this.#rankedMs > RANK_EVERY_MS) {
      this.#rankedMs = now;
      const distances = [...this.#entries.values()].map(({ route, link }) => ({
        region: route.region,
        rttMs: link.rttMs,
      }));
      this.#ranks = rankRegions(this.#options.region, distances);
    }
    return this.#ranks.get(region) ?? this.#ranks.size;
  }

  /** Releases uses that have had no request for a while. Must be called periodically. */
  sweepUses(): void {
    const keepMs = (machineId: string) => {
      const services = this.#options.table.machine(machineId)?.services ?? [];
      // A machine that may be stopped sooner must be released sooner.
      return Math.min(KEEP_USE_MS, ...services.map(({ idleTimeoutMs }) => idleTimeoutMs));
    };
    for (const { link } of this.#entries.values()) link.uses.sweep(keepMs);
  }

  close(): void {
    for (const { connection } of this.#entries.values()) connection.close();
    this.#entries.clear();
    this.#hostOf.clear();
  }

  #entryOf(machineId: string): Entry | undefined {
    const number = this.#hostOf.get(machineId);
    return number === undefined ? undefined : this.#entries.get(number);
  }

  #changed({ machines, hosts }: TableChange): void {
    const { table } = this.#options;
    if (hosts.size > 0) this.#moveHosts();
    const added = new Map<Entry, string[]>();
    const removed = new Map<Entry, string[]>();
    for (const id of machines) {
      const machine = table.machine(id);
      const before = this.#entryOf(id);
      const after = machine && this.#entry(machine.hostNumber);
      if (before && before !== after) {
        before.machines.delete(id);
        this.#hostOf.delete(id);
        push(removed, before, id);
      }
      if (!after || after.machines.has(id)) continue;
      after.machines.add(id);
      this.#hostOf.set(id, after.route.number);
      push(added, after, id);
    }
    for (const [entry, ids] of removed) entry.link.unwatch(ids);
    for (const [entry, ids] of added) entry.link.watch(ids);
    this.#closeUnused();
  }

  /** Connects anew to hosts whose address has changed, with what is known of them; and to those that come late. */
  #moveHosts(): void {
    const { table, connector } = this.#options;
    for (const [number, entry] of this.#entries) {
      const route = table.host(number);
      if (!route || (route.address === entry.route.address && route.region === entry.route.region)) continue;
      entry.connection.close();
      const { link } = entry;
      link.lost();
      this.#entries.set(number, { ...entry, route, connection: connector.connect(route, link) });
    }
    for (const machine of table.machines()) {
      if (this.#hostOf.has(machine.id)) continue;
      const entry = this.#entry(machine.hostNumber);
      if (!entry) continue;
      entry.machines.add(machine.id);
      this.#hostOf.set(machine.id, machine.hostNumber);
      entry.link.watch([machine.id]);
    }
  }

  #entry(number: number): Entry | undefined {
    const known = this.#entries.get(number);
    if (known) return known;
    const { table, connector, proxyId, listener, now } = this.#options;
    const route = table.host(number);
    if (!route) return undefined;
    const link = new HostLink(proxyId, listener, now);
    const entry = { route, link, machines: new Set<string>(), connection: connector.connect(route, link) };
    this.#entries.set(number, entry);
    return entry;
  }

  #closeUnused(): void {
    for (const [number, { machines, connection }] of this.#entries) {
      if (machines.size > 0) continue;
      connection.close();
      this.#entries.delete(number);
    }
  }
}

function push(map: Map<Entry, string[]>, entry: Entry, id: string): void {
  const ids = map.get(entry);
  if (ids) ids.push(id);
  else map.set(entry, [id]);
}
