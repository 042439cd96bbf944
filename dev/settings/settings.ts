import { statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { readEnv } from "../../src/lib/config/config.ts";
import { UserError } from "../../tools/lib/errors.ts";
import { appDomains } from "./app-domains.ts";
import { assignHosts, type HostPlace, type HostSettings, hostListeners, hostSettings } from "./hosts.ts";
import { baseOf } from "./layout.ts";
import { freePorts, type Listener } from "./ports.ts";
import { partName, type RegionSettings, regionListeners, regionSettings } from "./regions.ts";
import { addressVariables } from "./variables.ts";

/** Everything in which fleets differ. */
export interface FleetSettings {
  /** At least one. The first has Postgres, registry and traces. */
  readonly regions: readonly RegionSettings[];
  readonly registry: string;
  readonly traces: string;
  readonly tracesGrpc: string;
  /** Where the web console listens; undefined: there is none. */
  readonly console?: string;
  readonly hosts: readonly HostSettings[];
  readonly capacity: { readonly cpus: number; readonly memoryMb: number; readonly diskMb: number };
  /** Bound on each host's images, MiB. */
  readonly imageBudgetMb: number;
  readonly guestFolder: string;
  /** Domains of the apps' names, for apis and proxies. */
  readonly appDomains: string;
  /** Whether machines outlive a supervisor that is killed. */
  readonly keepsMachines: boolean;
  /** Variables named after a service (`HOSTD_...`) go to that service. */
  readonly overrides: NodeJS.ProcessEnv;
  /** Other addresses between parts, for proxies between them. */
  readonly routes?: Routes;
  /** A module that the services load first. */
  readonly preload?: string;
}

/** The addresses by which parts reach each other. */
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
  /** Default: {@link REGION}. */
  readonly regions?: readonly string[];
  /** In each region. */
  readonly hosts: number;
  /** Replicas of each region's scheduler. Default 1. */
  readonly schedulers?: number;
  /** Its earlier hosts: regions keep their numbers. */
  readonly hostsBefore?: readonly HostPlace[];
}

/** The default region. */
export const REGION = "ord";
const MAX_HOSTS = 64;

/** Returns the first region: its api is the one that is shown. */
export function firstRegion(settings: Pick<FleetSettings, "regions">): RegionSettings {
  const [first] = settings.regions;
  if (!first) throw new Error("a fleet has at least one region");
  return first;
}

/** Makes the settings of the local fleet: default addresses, each moved by a variable. */
export function localSettings(
  folder: string,
  guestFolder: string,
  shape: FleetShape,
  env: NodeJS.ProcessEnv,
): FleetSettings {
  const { regions = [REGION], hosts, schedulers = 1, hostsBefore } = shape;
  const most = Math.floor(MAX_HOSTS / Math.max(1, regions.length));
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > most) {
    throw new UserError(
      `--hosts takes a number from 1 to ${most}${regions.length > 1 ? " for each region" : ""}.`,
    );
  }
  const places = assignHosts(regions, hosts, hostsBefore);
  if (places.some(({ number }) => number > MAX_HOSTS))
    throw new UserError(`There are only ${MAX_HOSTS} host numbers, and regions keep theirs.`);
  const values = readEnv(env, addressVariables);
  const socketOf = socketsIn(folder);
  const firstHostPort = values.HOSTS_FIRST_PORT;
  const firstMetricsPort = values.HOSTS_FIRST_METRICS_PORT;
  return {
    regions: regionSettings(
      regions,
      schedulers,
      {
        api: values.API_LISTEN,
        rest: values.API_REST_LISTEN,
        scheduler: values.SCHEDULER_LISTEN,
        apiMetrics: values.API_METRICS_LISTEN,
        schedulerMetrics: values.SCHEDULER_METRICS_LISTEN,
        proxy: values.PROXY_LISTEN,
        proxyTls: values.PROXY_TLS_LISTEN,
        proxyMetrics: values.PROXY_METRICS_LISTEN,
      },
      socketOf,
    ),
    registry: values.REGISTRY_LISTEN,
    traces: values.TRACES_LISTEN,
    tracesGrpc: values.TRACES_GRPC_LISTEN,
    console: values.CONSOLE_LISTEN,
    hosts: hostSettings(places, values.MACHINES_FIRST_PORT, socketOf, (index) => ({
      hostd: firstHostPort === undefined ? undefined : firstHostPort + 2 * index,
      hostdMetrics: firstMetricsPort + 2 * index,
      imagecacheMetrics: firstMetricsPort + 2 * index + 1,
    })),
    ...shares(folder, places.length),
    guestFolder,
    appDomains: appDomains(env),
    keepsMachines: true,
    overrides: env,
  };
}

/**
 * Makes the settings of a fleet beside others: free ports, nothing from our own environment.
 *
 * @param hasConsole whether it has a web console, which most tests do not need
 */
export async function privateSettings(
  folder: string,
  guestFolder: string,
  shape: number | FleetShape,
  overrides: NodeJS.ProcessEnv,
  hasConsole = false,
): Promise<FleetSettings> {
  const { regions = [REGION], hosts, schedulers = 1 } = typeof shape === "number" ? { hosts: shape } : shape;
  const places = assignHosts(regions, hosts);
  const ports = (await freePorts(3 + (6 + schedulers) * regions.length + 2 * places.length)).values();
  const socketOf = socketsIn(folder);
  const port = () => ports.next().value ?? 0;
  const address = () => `127.0.0.1:${port()}`;
  // Above the local fleet's, and different for test processes side by side.
  const firstMachinePort = 26_000 + (process.pid % 24) * 256;
  return {
    regions: regions.map((region) => ({
      region,
      api: address(),
      rest: address(),
      apiMetrics: address(),
      proxy: address(),
      proxyTls: address(),
      proxyMetrics: address(),
      schedulers: Array.from({ length: schedulers }, (_, replica) => ({
        address: socketOf(partName("scheduler", region, replica)),
        metrics: address(),
      })),
    })),
    registry: address(),
    traces: address(),
    // Nobody needs to know it.
    tracesGrpc: "127.0.0.1:0",
    ...(hasConsole ? { console: address() } : {}),
    hosts: hostSettings(
      places,
      firstMachinePort,
      socketOf,
      () => ({ hostdMetrics: port(), imagecacheMetrics: port() }),
      256,
    ),
    ...shares(folder, places.length),
    guestFolder,
    appDomains: appDomains(overrides),
    keepsMachines: false,
    overrides,
  };
}

export function listenersOf(settings: FleetSettings): readonly Listener[] {
  const { regions, registry, traces, tracesGrpc, console, hosts } = settings;
  return [
    ...regionListeners(regions),
    { part: "registry", address: registry, variable: "REGISTRY_LISTEN" },
    { part: "traces", address: traces, variable: "TRACES_LISTEN" },
    { part: "traces", address: tracesGrpc, variable: "TRACES_GRPC_LISTEN" },
    ...(console === undefined ? [] : [{ part: "console", address: console, variable: "CONSOLE_LISTEN" }]),
    ...hostListeners(hosts),
  ];
}

/** Returns where parts of a fleet listen that only each other call: guests of a box reach its loopback, but no socket. */
function socketsIn(folder: string): (part: string) => string {
  const base = baseOf(folder);
  return (part) => `unix:${join(base, "sockets", `${part}.sock`)}`;
}

/** Divides this machine among hosts. Only processors are overcommitted. */
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
