import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { Fault } from "../../lib/faults/fault.ts";
import type { ServiceConfig } from "../machines/machine-config.ts";
import type { MachineSpec } from "../machines/version.ts";

/** A range of ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const HOST = "127.0.0.1";

/** Allocates host ports for the services of machines. Binds a port to find out whether another program has it. */
export class Ports {
  readonly #range: PortRange;
  readonly #taken = new Set<number>();
  /** Cycles through the range, so that a released port is reused late: clients may still connect to it. */
  #next: number;

  constructor(range: PortRange) {
    this.#range = range;
    this.#next = range.from;
  }

  /** Allocates a free port for each service. @throws Fault NO_FREE_PORT */
  async allocate(services: readonly ServiceConfig[]): Promise<readonly number[]> {
    const ports: number[] = [];
    try {
      for (const { protocol } of services) ports.push(await this.#take(protocol));
      return ports;
    } catch (err) {
      this.release(ports);
      throw err;
    }
  }

  /** Replaces those of `ports` that another program has taken. Returns all, in the order of the services. @throws Fault NO_FREE_PORT */
  async confirm(services: readonly ServiceConfig[], ports: readonly number[]): Promise<readonly number[]> {
    const added: number[] = [];
    const replaced: number[] = [];
    const confirmed = await Promise.allSettled(
      services.map(async ({ protocol }, index) => {
        const port = ports[index];
        if (port !== undefined && (await isFree(protocol, port))) return port;
        const other = await this.#take(protocol);
        added.push(other);
        if (port !== undefined) replaced.push(port);
        return other;
      }),
    );
    const failed = confirmed.find((each) => each.status === "rejected");
    this.release(failed ? added : replaced);
    if (failed) throw failed.reason;
    return confirmed.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
  }

  /** Allocates the ports of a machine that is in the store. */
  restore(ports: readonly number[]): void {
    for (const port of ports) this.#taken.add(port);
  }

  release(ports: readonly number[]): void {
    for (const port of ports) this.#taken.delete(port);
  }

  async #take(protocol: ServiceConfig["protocol"]): Promise<number> {
    const { from, to } = this.#range;
    for (let tried = 0; tried <= to - from; tried += 1) {
      const port = this.#next;
      this.#next = port >= to ? from : port + 1;
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await isFree(protocol, port)) return port;
      this.#taken.delete(port);
    }
    const range = `${from}-${to}`;
    const message = `no port from ${from} to ${to} is free on the host`;
    throw new Fault("RESOURCE_EXHAUSTED", "NO_FREE_PORT", message, { range });
  }
}

/** Returns ports for the services of a new version: those of services that it keeps, and new ones. @throws Fault NO_FREE_PORT */
export async function portsOfVersion(
  ports: Pick<Ports, "allocate">,
  before: { readonly ports: readonly number[]; readonly spec: Pick<MachineSpec, "config"> },
  services: readonly ServiceConfig[],
): Promise<readonly number[]> {
  const kept = new Map(before.spec.config.services.map((service, at) => [keyOf(service), before.ports[at]]));
  const added = await ports.allocate(services.filter((service) => kept.get(keyOf(service)) === undefined));
  const left = [...added];
  return services.flatMap((service) => kept.get(keyOf(service)) ?? left.shift() ?? []);
}

function keyOf({ protocol, internalPort }: ServiceConfig): string {
  return `${protocol} ${internalPort}`;
}

function isFree(protocol: ServiceConfig["protocol"], port: number): Promise<boolean> {
  return protocol === "udp" ? canBindUdp(port) : canListen(port);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

function canBindUdp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ address: HOST, port, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
