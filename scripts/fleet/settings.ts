import { statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { UserError } from "../lib/main.ts";
import { freePorts, type Listener, splitAddress } from "./ports.ts";

/** One host of a fleet. */
export interface HostSettings {
  /** From 1; part of every id of a machine on this host. */
  readonly number: number;
  readonly name: string;
  readonly zone: string;
  readonly hostd: string;
  readonly imagecache: string;
  /** Where the two tell Prometheus how they do. */
  readonly hostdMetrics: string;
  readonly imagecacheMetrics: string;
  /** Ports at which machines' services are reached, e.g. `20000-20999`. */
  readonly machinePorts: string;
}

/** Everything that tells one fleet from another. */
export interface FleetSettings {
  readonly region: string;
  readonly api: string;
  readonly scheduler: string;
  readonly registry: string;
  readonly traces: string;
  /** Where the two tell Prometheus how they do. */
  readonly apiMetrics: string;
  readonly schedulerMetrics: string;
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
}

export const REGION = "ord";
/** Above these the kernel takes ports for outgoing connections. */
const FIRST_EPHEMERAL_PORT = 32_768;
const MOST_HOSTS = 64;

/** The fleet of `npm start`: default addresses, each moved by a variable. */
export function localSettings(
  folder: string,
  guestFolder: string,
  hosts: number,
  env: NodeJS.ProcessEnv,
): FleetSettings {
  if (!Number.isInteger(hosts) || hosts < 1 || hosts > MOST_HOSTS) {
    throw new UserError(`--hosts takes a number from 1 to ${MOST_HOSTS}.`);
  }
  const firstHostPort = portVariable(env, "HOSTS_FIRST_PORT", 7_100);
  const firstMetricsPort = portVariable(env, "HOSTS_FIRST_METRICS_PORT", 9_110);
  const firstMachinePort = portVariable(env, "MACHINES_FIRST_PORT", 20_000);
  return {
    region: REGION,
    api: addressVariable(env, "API_LISTEN", 7_070),
    scheduler: addressVariable(env, "SCHEDULER_LISTEN", 7_071),
    registry: addressVariable(env, "REGISTRY_LISTEN", 5_000),
    traces: addressVariable(env, "TRACES_LISTEN", 4_318),
    apiMetrics: addressVariable(env, "API_METRICS_LISTEN", 9_100),
    schedulerMetrics: addressVariable(env, "SCHEDULER_METRICS_LISTEN", 9_101),
    hosts: hostList(hosts, firstMachinePort, (index) => [
      firstHostPort + 2 * index,
      firstHostPort + 2 * index + 1,
      firstMetricsPort + 2 * index,
      firstMetricsPort + 2 * index + 1,
    ]),
    ...shares(folder, hosts),
    guestFolder,
    keepsMachines: true,
    overrides: env,
  };
}

/** A fleet beside others: free ports everywhere, nothing taken from our own environment. */
export async function privateSettings(
  folder: string,
  guestFolder: string,
  hosts: number,
  overrides: NodeJS.ProcessEnv,
): Promise<FleetSettings> {
  const ports = await freePorts(6 + 4 * hosts);
  const port = (index: number) => ports[index] ?? 0;
  const address = (index: number) => `127.0.0.1:${port(index)}`;
  // Above the local fleet's, and apart for test processes that run side by side.
  const firstMachinePort = 26_000 + (process.pid % 24) * 256;
  return {
    region: REGION,
    api: address(0),
    scheduler: address(1),
    registry: address(2),
    traces: address(3),
    apiMetrics: address(4),
    schedulerMetrics: address(5),
    hosts: hostList(
      hosts,
      firstMachinePort,
      (index) => [port(6 + 4 * index), port(7 + 4 * index), port(8 + 4 * index), port(9 + 4 * index)],
      256,
    ),
    ...shares(folder, hosts),
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
    { part: "api", address: settings.api, variable: "API_LISTEN" },
    { part: "scheduler", address: settings.scheduler, variable: "SCHEDULER_LISTEN" },
    { part: "registry", address: settings.registry, variable: "REGISTRY_LISTEN" },
    { part: "traces", address: settings.traces, variable: "TRACES_LISTEN" },
    { part: "metrics of api", address: settings.apiMetrics, variable: "API_METRICS_LISTEN" },
    {
      part: "metrics of scheduler",
      address: settings.schedulerMetrics,
      variable: "SCHEDULER_METRICS_LISTEN",
    },
    ...hosts,
  ];
}

function hostList(
  count: number,
  firstMachinePort: number,
  portsOf: (
    index: number,
  ) => readonly [hostd: number, imagecache: number, hostdMetrics: number, imagecacheMetrics: number],
  room = FIRST_EPHEMERAL_PORT - firstMachinePort,
): readonly HostSettings[] {
  const each = Math.min(1_000, Math.floor(room / count));
  if (each < 1)
    throw new UserError(
      `MACHINES_FIRST_PORT=${firstMachinePort} leaves no ports below ${FIRST_EPHEMERAL_PORT}.`,
    );
  return Array.from({ length: count }, (_, index) => {
    const [hostd, imagecache, hostdMetrics, imagecacheMetrics] = portsOf(index);
    const first = firstMachinePort + index * each;
    return {
      number: index + 1,
      name: `${REGION}-${index + 1}`,
      zone: `${REGION}-${index % 2 === 0 ? "a" : "b"}`,
      hostd: `127.0.0.1:${hostd}`,
      imagecache: `127.0.0.1:${imagecache}`,
      hostdMetrics: `127.0.0.1:${hostdMetrics}`,
      imagecacheMetrics: `127.0.0.1:${imagecacheMetrics}`,
      machinePorts: `${first}-${first + each - 1}`,
    };
  });
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

function addressVariable(env: NodeJS.ProcessEnv, name: string, port: number): string {
  const value = env[name] || `127.0.0.1:${port}`;
  const { host, port: chosen } = splitAddress(value);
  if (host === "" || !isPort(chosen))
    throw new UserError(`${name} takes HOST:PORT, e.g. 127.0.0.1:${port}; it is "${value}".`);
  return value;
}

function portVariable(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const value = Number(env[name] || fallback);
  if (!isPort(value))
    throw new UserError(`${name} takes a port number, e.g. ${fallback}; it is "${env[name]}".`);
  return value;
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value < 65_536;
}
