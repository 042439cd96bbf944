import { UserError } from "../../tools/lib/errors.ts";
import { type Listener, withMetrics } from "./ports.ts";

/** Which host is in which region. */
export interface HostPlace {
  /** Unique in the world: part of the id of every machine on this host. */
  readonly number: number;
  readonly region: string;
}

export interface HostSettings extends HostPlace {
  readonly name: string;
  readonly zone: string;
  readonly hostd: string;
  readonly imagecache: string;
  readonly hostdMetrics: string;
  readonly imagecacheMetrics: string;
  /** Ports at which machines' services are reached, e.g. `20000-20999`. */
  readonly machinePorts: string;
}

export interface HostPorts {
  /** Undefined: a unix socket. */
  readonly hostd?: number | undefined;
  readonly hostdMetrics: number;
  readonly imagecacheMetrics: number;
}

/** Above these the kernel takes ports for outgoing connections. */
const FIRST_EPHEMERAL_PORT = 32_768;
const MAX_MACHINE_PORTS = 1_000;

/**
 * Gives each region so many hosts, with numbers that are unique in the world. A region keeps its
 * numbers, since its machines carry them; new hosts get the lowest that no region ever had.
 */
export function assignHosts(
  regions: readonly string[],
  perRegion: number,
  before: readonly HostPlace[] = [],
): readonly HostPlace[] {
  const taken = new Set(before.map(({ number }) => number));
  const hosts = regions.flatMap((region) => {
    const kept = before.filter((host) => host.region === region).map(({ number }) => number);
    const numbers = kept.toSorted((a, b) => a - b).slice(0, perRegion);
    for (let number = 1; numbers.length < perRegion; number++) {
      if (taken.has(number)) continue;
      taken.add(number);
      numbers.push(number);
    }
    return numbers.map((number) => ({ number, region }));
  });
  return hosts.toSorted((a, b) => a.number - b.number);
}

/**
 * Gives hosts their addresses.
 *
 * @param socketOf the address of a part's unix socket
 * @param portsOf the ports of a host, by its number less one
 * @param room how many ports there are for all hosts' machines
 */
export function hostSettings(
  places: readonly HostPlace[],
  firstMachinePort: number,
  socketOf: (part: string) => string,
  portsOf: (index: number) => HostPorts,
  room = FIRST_EPHEMERAL_PORT - firstMachinePort,
): readonly HostSettings[] {
  const slots = Math.max(...places.map(({ number }) => number));
  const each = Math.min(MAX_MACHINE_PORTS, Math.floor(room / slots));
  if (each < 1)
    throw new UserError(
      `MACHINES_FIRST_PORT=${firstMachinePort} leaves no ports below ${FIRST_EPHEMERAL_PORT}.`,
    );
  return places.map(({ number, region }) => {
    const { hostd, hostdMetrics, imagecacheMetrics } = portsOf(number - 1);
    const first = firstMachinePort + (number - 1) * each;
    return {
      number,
      region,
      name: `${region}-${number}`,
      zone: `${region}-${number % 2 === 1 ? "a" : "b"}`,
      hostd: hostd === undefined ? socketOf(`hostd-${number}`) : `127.0.0.1:${hostd}`,
      imagecache: socketOf(`imagecache-${number}`),
      hostdMetrics: `127.0.0.1:${hostdMetrics}`,
      imagecacheMetrics: `127.0.0.1:${imagecacheMetrics}`,
      machinePorts: `${first}-${first + each - 1}`,
    };
  });
}

export function hostListeners(hosts: readonly HostSettings[]): readonly Listener[] {
  const variables = ["HOSTS_FIRST_PORT", "HOSTS_FIRST_METRICS_PORT"] as const;
  return hosts.flatMap(({ number, hostd, imagecache, hostdMetrics, imagecacheMetrics }) => [
    ...withMetrics(`hostd-${number}`, [hostd, hostdMetrics], variables),
    ...withMetrics(`imagecache-${number}`, [imagecache, imagecacheMetrics], variables),
  ]);
}
