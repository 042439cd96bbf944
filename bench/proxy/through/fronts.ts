import { join } from "node:path";
import { abortable } from "../../../src/lib/runtime/abort.ts";
import type { Run } from "../../lib/benchmark.ts";
import { Child } from "../../lib/child.ts";
import { cpuMs } from "../../lib/measure/cpu.ts";
import { findNginx, Nginx } from "../../peers/nginx.ts";
import type { Program } from "../programs.ts";
import type { ProxyWorld } from "../world.ts";
import type { NodeProxyFunctions } from "./node-proxy.ts";

/** An address at which one started machine answers. */
export interface Front {
  readonly name: "direct" | "nginx" | "node" | "proxy";
  readonly address: string;
  readonly host: string;
  /** Returns the processor time of what is between, in milliseconds. Undefined: nothing is. */
  readonly cpuMs?: () => number;
}

/** The fronts of a machine that runs the server of a few lines. */
export class Fronts implements AsyncDisposable {
  readonly all: readonly Front[];
  /** Why there is no nginx. */
  readonly problem: string | undefined;
  readonly #end: AsyncDisposable;

  private constructor(all: readonly Front[], problem: string | undefined, end: AsyncDisposable) {
    this.all = all;
    this.problem = problem;
    this.#end = end;
  }

  static async open(world: ProxyWorld, program: Program, { folder, signal }: Run): Promise<Fronts> {
    await using stack = new AsyncDisposableStack();
    const { client, fleet } = world;
    const { host, machineId } = await world.openApp("through", program);
    await client.ask(host);
    stack.defer(() => fleet.clients.destroy(machineId, true).then(() => undefined));
    const address = (await fleet.clients.get(machineId)).serviceAddresses[0]?.address;
    if (address === undefined) throw new Error(`the machine ${machineId} has no address`);
    const pid = fleet.services.pid("proxy") ?? 0;
    const proxy: Front = { name: "proxy", address: world.proxy, host, cpuMs: () => cpuMs(pid) };
    const bare = stack.use(new Child<NodeProxyFunctions>(new URL("./node-proxy.ts", import.meta.url)));
    const bareAddress = await abortable(bare.functions.listen(address), signal);
    const node: Front = { name: "node", address: bareAddress, host, cpuMs: () => cpuMs(bare.pid) };
    const direct: Front = { name: "direct", address, host };
    const found = findNginx();
    if ("problem" in found) return new Fronts([direct, node, proxy], found.problem, stack.move());
    const nginx = stack.use(await Nginx.start(found.path, join(folder, "nginx"), address, signal));
    const second: Front = { name: "nginx", address: nginx.address, host, cpuMs: () => nginx.cpuMs() };
    return new Fronts([direct, second, node, proxy], undefined, stack.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end[Symbol.asyncDispose]();
  }
}
