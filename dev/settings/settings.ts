import { statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { readEnv } from "../../src/lib/runtime/config.ts";
import { UserError } from "../../tools/lib/main.ts";
import { assignHosts, type HostPlace } from "./host-numbers.ts";
import { type HostSettings, hostSettings } from "./host-settings.ts";
import { freePorts, type Listener } from "./ports.ts";
import { type RegionSettings, regionListeners, regionSettings } from "./region-settings.ts";
import { addressVariables } from "./variables.ts";

/** Everything that tells one fleet from another. */
export interface FleetSettings {
  /** At least one. The first has everything that there is one of: Postgres, registry, traces. */
  readonly regions: readonly RegionSettings[];
  readonly registry: string;
  readonly traces: string;
  readonly hosts: readonly HostSettings[];
  /** What each host says it has. */
  readonly capacity: { readonly cpus: number; readonly memoryMb: number; readonly diskMb: number };
  /** Bound on each host's images, MiB. */
  readonly imageBudgetMb: number;
  /** Kernel and initramfs. */
  readonly guestFolder: string;
  /** Whether machines outlive a supervisor that is killed, so that the next one finds them running. */
  readonly keepsMachines: boolean;
  /** Variables named after a service (`HOSTD_...`) go to that service. */
  readonly overrides: NodeJS.ProcessEnv;
  /** The ways that lead from one part to another, where they are not the straight ones. */
  readonly routes?: Routes;
  /** A module that the services load before anything of their own, for those who watch them from within. */
  readonly preload?: string;
}

/** Says by which address one part reaches another, for those who put something between them. */
export interface Routes {
  /** A scheduler's address for the api of a region. */
  scheduler(fromRegion: string, toRegion: string, address: string): string;
  /** The folder of Postgres' socket for the api of a region. */
  postgres(fromRegion: string, folder: string): string;
  /** A host's address for all apis. */
  host(host: HostSettings): string;
}

/** The size of a fleet. */
export interface FleetShape {
  /** Default one, {@link REGION}. */
  readonly regions?: readonly string[];
  /** In each region. */
  readonly hosts: number;
  /** Replicas of each region's scheduler. Default 1. */
  readonly schedulers?: number;
  /** The hosts it had before: regions keep their numbers. */
  readonly hostsBefore?: readonly HostPlace[];
}

/** The region of a fleet that is told of none. */
export const REGION = "ord";
const MOST_HOSTS = 64;

/** The region that has what there is one of, and whose api people are told of. */
export function firstRegion(settings: Pick<FleetSettings, "regions">): RegionSettings {
  const [first] = settings.regions;
  if (!first) throw new Error("a fleet has at least one region");
  return first;
}

/** The fleet of `npm start`: default addresses, each moved by a variable. */
export function localSettings(
  folder: string,
  guestFolder: string,
  shape: FleetShape,
  env: NodeJS.ProcessEnv,
): FleetSettings {
  const { regions = [REGION], hosts, schedulers = 1, hostsBefore } = shape;
  const most = Math.floor(MOST_HOSTS / Math.max(1, regions.length));
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > most) {
    throw new UserError(
      `--hosts takes a number from 1 to ${most}${regions.length > 1 ? " for each region" : ""}.`,
    );
  }
  const places = assignHosts(regions, hosts, hostsBefore);
  if (places.some(({ number }) => number > MOST_HOSTS))
    throw new UserError(`There are only ${MOST_HOSTS} host numbers, and regions keep theirs.`);
  const values = readEnv(env, addressVariables);
  const firstHostPort = values.HOSTS_FIRST_PORT;
  const firstMetricsPort = values.HOSTS_FIRST_METRICS_PORT;
  return {
    regions: regionSettings(regions, schedulers, {
      api: values.API_LISTEN,
      scheduler: values.SCHEDULER_LISTEN,
      apiMetrics: values.API_METRICS_LISTEN,
      schedulerMetrics: values.SCHEDULER_METRICS_LISTEN,
    }),
    registry: values.REGISTRY_LISTEN,
    traces: values.TRACES_LISTEN,
    hosts: hostSettings(places, values.MACHINES_FIRST_PORT, (index) => [
      firstHostPort + 2 * index,
      firstHostPort + 2 * index + 1,
      firstMetricsPort + 2 * index,
      firstMetricsPort + 2 * index + 1,
    ]),
    ...shares(folder, places.length),
    guestFolder,
    keepsMachines: true,
    overrides: env,
  };
}

/** A fleet beside others: free ports everywhere, nothing taken from our own environment. */
export async function privateSettings(
  folder: string,
  guestFolder: string,
  shape: number | FleetShape,
  overrides: NodeJS.ProcessEnv,
): Promise<FleetSettings> {
  const { regions = [REGION], hosts, schedulers = 1 } = typeof shape === "number" ? { hosts: shape } : shape;
  const places = assignHosts(regions, hosts);
  const ports = (await freePorts(2 + (2 + 2 * schedulers) * regions.length + 4 * places.length)).values();
  const port = () => ports.next().value ?? 0;
  const address = () => `127.0.0.1:${port()}`;
  // Above the local fleet's, and apart for test processes that run side by side.
  const firstMachinePort = 26_000 + (process.pid % 24) * 256;
  return {
    regions: regions.map((region) => ({
      region,
      api: address(),
      apiMetrics: address(),
      schedulers: Array.from({ length: schedulers }, () => ({ address: address(), metrics: address() })),
    })),
    registry: address(),
    traces: address(),
    hosts: hostSettings(places, firstMachinePort, () => [port(), port(), port(), port()], 256),
    ...shares(folder, places.length),
    guestFolder,
    keepsMachines: false,
    overrides,
  };
}

/** All addresses that the fleet listens on. */
export function listenersOf(settings: FleetSettings): readonly Listener[] {
  const hosts = settings.hosts.flatMap(({ number, hostd, imagecache, hostdMetrics, imagecacheMetrics }) => [
    { part: `hostd-${number}`, address: hostd, variable: "HOSTS_FIRST_PORT" },
    { part: `imagecache-${number}`, address: imagecache, variable: "HOSTS_FIRST_PORT" },
    { part: `metrics of hostd-${number}`, address: hostdMetrics, variable: "HOSTS_FIRST_METRICS_PORT" },
    {
      part: `metrics of imagecache-${number}`,
      address: imagecacheMetrics,
      variable: "HOSTS_FIRST_METRICS_PORT",
    },
  ]);
  return [
    ...regionListeners(settings.regions),
    { part: "registry", address: settings.registry, variable: "REGISTRY_LISTEN" },
    { part: "traces", address: settings.traces, variable: "TRACES_LISTEN" },
    ...hosts,
  ];
}

/** This machine, shared out. Memory and disk are real, so they are not promised twice; processors are shared by time. */
function shares(folder: string, hosts: number): Pick<FleetSettings, "capacity" | "imageBudgetMb"> {
  const mebibyte = 1024 * 1024;
  const disk = statfsSync(folder);
  const diskMb = (disk.blocks * disk.bsize) / mebibyte;
  return {
    capacity: {
      cpus: Math.max(8, 4 * availableParallelism()),
      memoryMb: Math.max(1_024, roundDown((0.75 * totalmem()) / mebibyte / hosts, 256)),
      diskMb: Math.max(10_240, roundDown((0.5 * diskMb) / hosts, 1_024)),
    },
    imageBudgetMb: Math.max(2_048, roundDown((0.1 * diskMb) / hosts, 1_024)),
  };
}

function roundDown(value: number, step: number): number {
  return Math.floor(value / step) * step;
}
