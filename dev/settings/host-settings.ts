import { UserError } from "../../tools/lib/main.ts";
import type { HostPlace } from "./host-numbers.ts";

/** One host of a fleet. */
export interface HostSettings extends HostPlace {
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

/** The four ports of a host. */
export type HostPorts = readonly [
  hostd: number,
  imagecache: number,
  hostdMetrics: number,
  imagecacheMetrics: number,
];

/** Above these the kernel takes ports for outgoing connections. */
const FIRST_EPHEMERAL_PORT = 32_768;
const MOST_MACHINE_PORTS = 1_000;

/**
 * Gives hosts their addresses.
 *
 * @param portsOf the ports of a host by its place in the list, from 0, when all numbers below it were in the list
 * @param room how many ports there are for all hosts' machines
 */
export function hostSettings(
  places: readonly HostPlace[],
  firstMachinePort: number,
  portsOf: (index: number) => HostPorts,
  room = FIRST_EPHEMERAL_PORT - firstMachinePort,
): readonly HostSettings[] {
  const slots = Math.max(...places.map(({ number }) => number));
  const each = Math.min(MOST_MACHINE_PORTS, Math.floor(room / slots));
  if (each < 1)
    throw new UserError(
      `MACHINES_FIRST_PORT=${firstMachinePort} leaves no ports below ${FIRST_EPHEMERAL_PORT}.`,
    );
  return places.map(({ number, region }) => {
    const [hostd, imagecache, hostdMetrics, imagecacheMetrics] = portsOf(number - 1);
    const first = firstMachinePort + (number - 1) * each;
    return {
      number,
      region,
      name: `${region}-${number}`,
      zone: `${region}-${number % 2 === 1 ? "a" : "b"}`,
      hostd: `127.0.0.1:${hostd}`,
      imagecache: `127.0.0.1:${imagecache}`,
      hostdMetrics: `127.0.0.1:${hostdMetrics}`,
      imagecacheMetrics: `127.0.0.1:${imagecacheMetrics}`,
      machinePorts: `${first}-${first + each - 1}`,
    };
  });
}
