import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Layout } from "../../dev/settings/layout.ts";
import { type FleetSettings, listenersOf, type Routes } from "../../dev/settings/settings.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../test/support/clients.ts";
import type { TestFleetOptions } from "../../test/support/fleet.ts";
import { DelayProxy, type DelayProxyOptions } from "../../test/support/net/delay-proxy.ts";
import { dialerOf } from "../../test/support/net/dialer.ts";
import { APP, BenchFleet } from "../lib/fleet.ts";
import { REGIONS } from "./distances.ts";

/** What an api of one region calls in another. */
export type Peer = "postgres" | "scheduler" | "host";

/** Returns the round trip from an api to a peer, in milliseconds. */
export type Distance = (peer: Peer, apiRegion: string, peerRegion: string) => number;

type Pid = Parameters<NonNullable<TestFleetOptions["routes"]>>[2];

/** Regions with a distance between them, which is 0 at first. */
export class RegionsWorld implements AsyncDisposable {
  readonly fleet: BenchFleet;
  readonly #proxies: Proxies;
  readonly #clients: ReadonlyMap<string, Clients>;

  private constructor(fleet: BenchFleet, proxies: Proxies) {
    this.fleet = fleet;
    this.#proxies = proxies;
    const { regions, token } = fleet.services;
    this.#clients = new Map(regions.map(({ region, api }) => [region, clientsOf(api, token)]));
  }

  static async start(folder: string, signal: AbortSignal): Promise<RegionsWorld> {
    const proxies = new Proxies();
    const routes = proxies.start.bind(proxies);
    const options = { regions: REGIONS, hosts: 1, vmm: "sim", routes } as const;
    try {
      return new RegionsWorld(await BenchFleet.start(options, folder, false, signal), proxies);
    } catch (cause) {
      await proxies.close();
      throw cause;
    }
  }

  setDistance(distance: Distance): void {
    this.#proxies.distance = distance;
  }

  /** Returns the client of a region's api, which is beside it. */
  api(region: string): Clients {
    const clients = this.#clients.get(region);
    if (!clients) throw new Error(`there is no region ${region}`);
    return clients;
  }

  /** Creates a machine of a region by the api of another, and does not start it. */
  create(apiRegion: string, region: string): Promise<Machine> {
    const config = configOf(this.fleet.image);
    return this.api(apiRegion).create({ app: APP, config, region, skipLaunch: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.setDistance(() => 0);
    for (const clients of this.#clients.values()) clients.close();
    await this.fleet[Symbol.asyncDispose]();
    await this.#proxies.close();
  }
}

/** The proxies between every api and Postgres, and the schedulers and hosts of all regions. */
class Proxies {
  distance: Distance = () => 0;
  readonly #proxies: DelayProxy[] = [];

  async start(settings: FleetSettings, layout: Layout, pid: Pid): Promise<Routes> {
    const { regions, hosts } = settings;
    const first = regions[0]?.region ?? "";
    // The fleet does not listen on its ports yet, so the kernel may give one of them to a proxy.
    const taken = new Set(listenersOf(settings).map(({ address }) => address));
    const addresses = new Map<string, string>();
    const start = async (name: string, options: DelayProxyOptions): Promise<void> => {
      const proxy = await DelayProxy.start(options);
      this.#proxies.push(proxy);
      if (taken.has(proxy.address)) await start(name, options);
      else addresses.set(name, proxy.address);
    };
    const socketFolder = (region: string) => join(layout.folder, `pg-${region}`);
    for (const { region } of regions) {
      mkdirSync(socketFolder(region));
      chmodSync(socketFolder(region), 0o711);
      await start(`postgres ${region}`, {
        target: join(layout.of("postgres"), ".s.PGSQL.5432"),
        path: join(socketFolder(region), ".s.PGSQL.5432"),
        roundTripMs: () => this.distance("postgres", region, first),
      });
      for (const other of regions)
        for (const { address } of other.schedulers)
          await start(`scheduler ${region} ${address}`, {
            target: address,
            roundTripMs: () => this.distance("scheduler", region, other.region),
          });
    }
    const apis = () =>
      regions.flatMap(({ region }) => {
        const api = pid(region === first ? "api" : `api-${region}`);
        return api === undefined ? [] : [{ pid: api, name: region }];
      });
    for (const host of hosts)
      await start(`host ${host.hostd}`, {
        target: host.hostd,
        dialer: ({ remotePort = 0 }) => dialerOf(remotePort, apis()) ?? host.region,
        roundTripMs: (dialer) => this.distance("host", dialer, host.region),
      });
    return {
      scheduler: (from, _to, address) => addresses.get(`scheduler ${from} ${address}`) ?? "",
      postgres: socketFolder,
      host: (host) => addresses.get(`host ${host.hostd}`) ?? "",
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}
