import { createServer, type Server, type Socket } from "node:net";
import { ConnectionLimiter, type ConnectionLimits } from "../../lib/limits/connection-limiter.ts";
import { listen } from "../../lib/runtime/listen.ts";
import { logger } from "../../lib/runtime/log.ts";

/** Takes the connections of a port. The last parameter is as in Connection. */
export type AcceptOnPort = (socket: Socket, port: number, identified: () => void) => void;

const KEEP_ALIVE_DELAY_MS = 60_000;

/** Listens at the ports that services name, and no others. */
export class TcpPorts {
  readonly #host: string;
  readonly #limiter: ConnectionLimiter;
  readonly #accept: AcceptOnPort;
  readonly #servers = new Map<number, Server>();
  readonly #sockets = new Set<Socket>();
  /** Ports that cannot be listened at, with what was logged. */
  readonly #problems = new Map<number, string>();
  #changing: Promise<void> = Promise.resolve();

  constructor(host: string, limits: ConnectionLimits, accept: AcceptOnPort) {
    this.#host = host;
    this.#limiter = new ConnectionLimiter(limits);
    this.#accept = accept;
  }

  /** Ports that are listened at. */
  get ports(): readonly number[] {
    return [...this.#servers.keys()];
  }

  /** Listens at these ports from now on. One that is in use is logged once, and tried again with the next call. */
  set(ports: ReadonlySet<number>): Promise<void> {
    this.#changing = this.#changing.then(() => this.#change(ports));
    return this.#changing;
  }

  /** Listens nowhere, and ends all connections. */
  async close(): Promise<void> {
    await this.set(new Set());
    for (const socket of this.#sockets) socket.destroy();
  }

  async #change(ports: ReadonlySet<number>): Promise<void> {
    for (const [port, server] of this.#servers) {
      if (ports.has(port)) continue;
      this.#servers.delete(port);
      // Its connections go on.
      server.close();
    }
    for (const port of this.#problems.keys()) if (!ports.has(port)) this.#problems.delete(port);
    for (const port of ports) if (!this.#servers.has(port)) await this.#open(port);
  }

  async #open(port: number): Promise<void> {
    const options = { allowHalfOpen: true, noDelay: true, keepAlive: true };
    const server = createServer({ ...options, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS }, (socket) => {
      const admitted = this.#limiter.admit(socket);
      if (!admitted) return;
      socket.on("error", () => socket.destroy());
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      this.#accept(socket, port, () => this.#limiter.identified(admitted, false));
    });
    const host = this.#host.includes(":") ? `[${this.#host}]` : this.#host;
    try {
      await listen(server, `${host}:${port}`, "PROXY_TCP_PORTS");
      this.#servers.set(port, server);
      this.#problems.delete(port);
    } catch (error) {
      if (this.#problems.get(port) !== String(error))
        logger.warn("a port of a service cannot be listened at", { port, error });
      this.#problems.set(port, String(error));
    }
  }
}
