import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Fleet } from "../../dev/fleet/fleet.ts";
import { layoutOf } from "../../dev/settings/layout.ts";
import { type FleetSettings, listenersOf, privateSettings } from "../../dev/settings/settings.ts";
import { UpdateOrganizationRequest } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../test/support/clients.ts";
import { DelayProxy } from "../../test/support/delay-proxy.ts";
import { dialerOf } from "../../test/support/dialer.ts";
import { TestFleet } from "../../test/support/fleet.ts";
import { type BuiltImage, pushImage } from "../../test/support/oci/index.ts";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { guestFolder } from "../../tools/lib/paths.ts";
import { APP } from "../lib/fleet.ts";

/** What an api of one region reaches in another. */
export type Peer = "postgres" | "scheduler" | "host";

/** How long a round trip takes from an api to a peer, in milliseconds. */
export type Distance = (peer: Peer, apiRegion: string, peerRegion: string) => number;

/** Simulated machines take no memory, so a host may have as many of them as it is asked for. */
const ROOM = { HOSTD_VMM: "sim", HOSTD_MEMORY_MB: "1048576", HOSTD_CPUS: "4096", HOSTD_DISK_MB: "10485760" };
const START_TIMEOUT_MS = 180_000;
const REPOSITORY = "bench/line";

/** Regions with distances between them; the central Postgres is in the first. Close it at the end. */
export class RegionsWorld {
  readonly fleet: TestFleet;
  readonly #clients: ReadonlyMap<string, Clients>;
  readonly #proxies: readonly DelayProxy[];
  readonly #near: Near;

  private constructor(
    fleet: TestFleet,
    clients: ReadonlyMap<string, Clients>,
    proxies: readonly DelayProxy[],
    near: Near,
  ) {
    this.fleet = fleet;
    this.#clients = clients;
    this.#proxies = proxies;
    this.#near = near;
  }

  static async start(
    regions: readonly string[],
    image: BuiltImage,
    signal: AbortSignal,
  ): Promise<RegionsWorld> {
    const scratch = temporaryFolder("bench");
    const layout = layoutOf(scratch.path);
    const straight = await privateSettings(layout.folder, guestFolder(), { regions, hosts: 1 }, ROOM);
    const near: Near = { distance: () => 0, dialers: () => [] };
    const { routes, proxies } = await lay(straight, layout.of("postgres"), scratch.path, near);
    const fleet = new Fleet(layout, { ...straight, routes });
    near.dialers = () =>
      straight.regions.flatMap(({ region }, index) => {
        const name = index === 0 ? "api" : `api-${region}`;
        const pid = fleet.parts.find((part) => part.name === name)?.process?.pid;
        return pid === undefined ? [] : [{ pid, name: region }];
      });
    const services = new TestFleet(fleet, scratch.remove);
    const clients = new Map<string, Clients>();
    const world = new RegionsWorld(services, clients, proxies, near);
    try {
      await fleet.start(AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]));
      for (const { region, api } of straight.regions) clients.set(region, clientsOf(api, fleet.token));
      await pushImage(`http://${straight.registry}`, REPOSITORY, "1", image);
      await world.api(regions[0] ?? "").createApp(APP);
      await world.#allow();
      return world;
    } catch (cause) {
      await world.close();
      throw cause;
    }
  }

  /** From now on everything is this far apart. */
  apart(distance: Distance): void {
    this.#near.distance = distance;
  }

  /** The api of a region, asked from beside it. */
  api(region: string): Clients {
    const clients = this.#clients.get(region);
    if (!clients) throw new Error(`there is no region ${region}`);
    return clients;
  }

  /** Makes a machine in a region by the api of one, and does not start it. */
  create(apiRegion: string, region: string): Promise<Machine> {
    const config = configOf(`${this.fleet.registry}/${REPOSITORY}:1`);
    return this.api(apiRegion).create({ app: APP, config, region, skipLaunch: true });
  }

  async close(): Promise<void> {
    this.apart(() => 0);
    for (const clients of this.#clients.values()) clients.close();
    await this.fleet.close();
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }

  async #allow(): Promise<void> {
    const { orgs } = this.api(this.fleet.regions[0]?.region ?? "").raw;
    const quota = { machines: 100_000, memoryMb: 100_000_000n };
    const request = UpdateOrganizationRequest.fromPartial({ slug: "personal", quota });
    await call(orgs, orgs.updateOrganization, request, { timeoutMs: 10_000 });
  }
}

/** What the proxies go by. */
interface Near {
  distance: Distance;
  dialers: () => Parameters<typeof dialerOf>[1];
}

/** Puts a proxy on every way from an api to another region's parts and to Postgres. */
async function lay(settings: FleetSettings, postgresFolder: string, scratch: string, near: Near) {
  const proxies: DelayProxy[] = [];
  const startPaths = new Map<string, string>();
  // The fleet's ports are chosen and not yet listened on: the kernel may hand one of them to a proxy.
  const chosen = new Set(listenersOf(settings).map((listener) => listener.address));
  const put = async (startPath: string, options: Parameters<typeof DelayProxy.start>[0]) => {
    const proxy = await DelayProxy.start(options);
    if (chosen.has(proxy.address)) {
      await put(startPath, options);
      await proxy.close();
      return;
    }
    proxies.push(proxy);
    startPaths.set(startPath, proxy.address);
  };
  const [first] = settings.regions;
  for (const { region } of settings.regions) {
    const folder = join(scratch, `pg-${region}`);
    mkdirSync(folder);
    chmodSync(folder, 0o711);
    await put(`postgres ${region}`, {
      target: join(postgresFolder, ".s.PGSQL.5432"),
      path: join(folder, ".s.PGSQL.5432"),
      roundTripMs: () => near.distance("postgres", region, first?.region ?? ""),
    });
    for (const there of settings.regions) {
      for (const { address } of there.schedulers) {
        const roundTripMs = () => near.distance("scheduler", region, there.region);
        await put(`scheduler ${region} ${address}`, { target: address, roundTripMs });
      }
    }
  }
  for (const host of settings.hosts) {
    await put(`host ${host.hostd}`, {
      target: host.hostd,
      dialer: ({ remotePort = 0 }) => dialerOf(remotePort, near.dialers()) ?? host.region,
      roundTripMs: (dialer) => near.distance("host", dialer, host.region),
    });
  }
  const startPath = (name: string) => startPaths.get(name) ?? "";
  const routes: NonNullable<FleetSettings["routes"]> = {
    scheduler: (from, _to, address) => startPath(`scheduler ${from} ${address}`),
    postgres: (from) => join(scratch, `pg-${from}`),
    host: (host) => startPath(`host ${host.hostd}`),
  };
  return { routes, proxies };
}
