import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { Fault } from "../../lib/faults/fault.ts";
import type { Ports } from "../machines/host.ts";
import type { ServiceConfig } from "../machines/machine.ts";

/** From and to, both included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const HOST = "127.0.0.1";

/** Hands out host ports for the machines' services. Whether one is free for us is known here; for others, by binding it. */
export class HostPorts implements Ports {
  readonly #range: PortRange;
  readonly #taken = new Set<number>();
  /** Goes round, so a port that was just given back rests: a client may still be talking to it. */
  #next: number;

  constructor(range: PortRange) {
    this.#range = range;
    this.#next = range.from;
  }

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

  async confirm(services: readonly ServiceConfig[], ports: readonly number[]): Promise<readonly number[]> {
    return Promise.all(
      services.map(async ({ protocol }, index) => {
        const port = ports[index];
        if (port !== undefined && (await isFree(protocol, port))) return port;
        const other = await this.#take(protocol);
        if (port !== undefined) this.#taken.delete(port);
        return other;
      }),
    );
  }

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
      // Ours from here on, so nobody else tries it while we do.
      this.#taken.add(port);
      if (await isFree(protocol, port)) return port;
      this.#taken.delete(port);
    }
    throw new Fault(
      "RESOURCE_EXHAUSTED",
      "NO_FREE_PORT",
      `no port from ${from} to ${to} is free on the host`,
      {
        range: `${from}-${to}`,
      },
    );
  }
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
