import { createServer as createHttp } from "node:http";
import { createServer, type Server } from "node:net";
import { splitAddress } from "../../../dev/settings/ports.ts";
import type { Machine } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { sleep } from "../../../src/lib/runtime/wait.ts";
import type { TestFleet } from "../../support/fleet.ts";
import { type HostViews, openHostViews } from "./host-views.ts";

const LOOK_EVERY_MS = 20;

/**
 * What the machines of a simulated fleet run: while a machine is started, its port 8080 answers
 * requests, and any other one sends back what it gets.
 */
export class Programs {
  readonly #hosts: HostViews;
  readonly #closed = new AbortController();
  /** By address. */
  readonly #servers = new Map<string, Server>();
  readonly #done: Promise<void>;

  private constructor(hosts: HostViews) {
    this.#hosts = hosts;
    this.#done = this.#run();
  }

  static async run(fleet: TestFleet): Promise<Programs> {
    return new Programs(await openHostViews(fleet));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#done;
    this.#hosts.close();
    for (const address of this.#servers.keys()) this.#end(address);
  }

  async #run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      const views = await this.#hosts.answering();
      // While a host's daemon is away, its machines go on.
      if (views.length > 0) this.#follow(views.flatMap(({ machines }) => machines));
      await sleep(LOOK_EVERY_MS, this.#closed.signal);
    }
  }

  #follow(machines: readonly Machine[]): void {
    // Addresses are told of machines that run.
    const ports = machines.flatMap(({ serviceAddresses }) =>
      serviceAddresses.map(({ address, internalPort }) => [address, internalPort] as const),
    );
    const wanted = new Map(ports);
    for (const address of this.#servers.keys()) if (!wanted.has(address)) this.#end(address);
    for (const [address, port] of wanted) if (!this.#servers.has(address)) this.#begin(address, port);
  }

  #begin(address: string, internalPort: number): void {
    const server =
      internalPort === 8080
        ? createHttp(({ headers }, answer) => answer.end(`hello by ${String(headers["x-forwarded-proto"])}`))
        : createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    const { host, port } = splitAddress(address);
    this.#servers.set(address, server);
    server.listen(port, host);
  }

  #end(address: string): void {
    const server = this.#servers.get(address);
    this.#servers.delete(address);
    server?.close();
    if (server && "closeAllConnections" in server) (server.closeAllConnections as () => void)();
  }
}
