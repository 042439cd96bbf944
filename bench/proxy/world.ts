import { globSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CheckConfig, ServiceConfig } from "../../src/gen/windhover/machines/v1/machine.ts";
import { SuspendMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { within } from "../../src/lib/runtime/wait.ts";
import { configOf } from "../../test/support/clients.ts";
import { pushImage } from "../../test/support/oci/index.ts";
import type { Run } from "../lib/benchmark.ts";
import { BenchFleet } from "../lib/fleet.ts";
import { gauge } from "../lib/measure/gauge.ts";
import { PoolWatch } from "../lib/measure/pool.ts";
import { HttpClient } from "./http-client.ts";
import { PORT, type Program } from "./programs.ts";

/** An app with one machine, which requests start. */
export interface App {
  readonly name: string;
  /** Its host name at the proxy. */
  readonly host: string;
  readonly machineId: string;
}

export interface AppOptions {
  /** Saves the machine when it is ready, and starts it from there. */
  readonly isSaved?: boolean;
  /** Stops the machine when it has been idle for so many seconds. Default: never. */
  readonly idleSeconds?: number;
}

const ENVIRONMENT = {
  // Disks of machines are sparse, and there are many machines.
  HOSTD_DISK_MB: "1048576",
};
const MACHINE_MEMORY_MB = 256;
const CONNECTIONS = 64;
const TIMEOUT_MS = 60_000;
/** A cold start of a slow program on a busy machine, the pull of its image not included. */
const FIRST_WAKE_LIMIT_MS = 180_000;
const RETRY_MS = 100;
const SUSPEND_TIMEOUT_MS = 120_000;

/** A fleet with one host, and a client of its proxy. */
export class ProxyWorld implements AsyncDisposable {
  readonly fleet: BenchFleet;
  readonly run: Run;
  readonly client: HttpClient;
  readonly pool: PoolWatch;
  readonly #metrics: string;

  private constructor(fleet: BenchFleet, run: Run) {
    const [region] = fleet.services.regions;
    if (region === undefined) throw new Error("the fleet has no region");
    this.fleet = fleet;
    this.run = run;
    this.client = new HttpClient(region.proxy, CONNECTIONS, run.signal);
    this.pool = new PoolWatch(fleet.services.hosts[0]?.hostdMetrics ?? "");
    this.#metrics = region.proxyMetrics;
  }

  /** Starts a fleet whose host has only these start paths; without any, all. */
  static async open(run: Run, programs: readonly Program[], startPaths?: string): Promise<ProxyWorld> {
    const environment = { ...ENVIRONMENT, HOSTD_START_PATHS: startPaths };
    const options = { hosts: 1, vmm: "real", environment } as const;
    const fleet = await BenchFleet.start(options, run.folder, false, run.signal);
    const world = new ProxyWorld(fleet, run);
    try {
      run.report.vmm = await fleet.vmm();
      for (const { name, image } of programs)
        await pushImage(`http://${fleet.services.registry}`, repositoryOf(name), "1", image);
      return world;
    } catch (cause) {
      await world[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Address of the proxy, `host:port`. */
  get proxy(): string {
    return this.fleet.services.regions[0]?.proxy ?? "";
  }

  /** Makes an app whose machine has run once and is stopped, or saved. */
  async openApp(name: string, program: Program, { isSaved, idleSeconds }: AppOptions = {}): Promise<App> {
    const { clients, services } = this.fleet;
    await clients.createApp(name);
    const seconds = BigInt(idleSeconds ?? 0);
    const service = ServiceConfig.fromPartial({
      ...{ internalPort: PORT, ports: [{ port: 80, handlers: ["http"] }], autostart: true },
      ...(idleSeconds === undefined ? {} : { autostop: "stop", idleTimeout: { seconds, nanos: 0 } }),
      // What is saved has then answered a request: its first answer runs code that the program has loaded.
      checks: isSaved ? [CheckConfig.fromPartial({ type: "http" })] : [],
    });
    const config = configOf(`${services.registry}/${repositoryOf(program.name)}:1`, {
      services: [service],
      snapshot: isSaved ? "ready" : "off",
    });
    const { id } = await clients.create({ app: name, config, skipLaunch: true });
    const app = { name, host: `${name}.localhost`, machineId: id };
    const savedBefore = this.#saved().length;
    await this.#firstWake(app);
    if (isSaved) await this.#until("the snapshot", () => this.#saved().length > savedBefore);
    await this.stop(app);
    return app;
  }

  /** Why so many machines do not fit on the host. Undefined: they do. */
  async whyNotRoomFor(machines: number): Promise<string | undefined> {
    const [host] = await this.fleet.clients.hosts();
    const memoryMb = Number(host?.capacity?.memoryMb ?? 0n);
    return machines * MACHINE_MEMORY_MB <= memoryMb
      ? undefined
      : `${machines} machines need more memory than the host's ${memoryMb} MB`;
  }

  async stop({ machineId }: App): Promise<void> {
    await this.fleet.clients.stop(machineId);
  }

  async suspend({ machineId }: App): Promise<void> {
    const { machines } = this.fleet.clients.raw;
    const request = SuspendMachineRequest.fromPartial({ machineId });
    await call(machines, machines.suspendMachine, request, { timeoutMs: SUSPEND_TIMEOUT_MS });
  }

  /** Returns a metric of the proxy, summed over its labels. */
  async metric(name: string): Promise<number> {
    const signal = AbortSignal.any([this.run.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const answer = await fetch(`http://${this.#metrics}/metrics`, { signal });
    return gauge(await answer.text(), name) ?? 0;
  }

  /** The file of a program's root file system on the host. */
  rootfsOf({ image }: Program): string {
    const folder = join(this.fleet.services.folder, "hosts/1/imagecache/rootfs");
    return join(folder, `${image.digest.replace("sha256:", "")}.squashfs`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }

  /** Asks until the proxy knows the app and its machine has answered. */
  async #firstWake({ host }: App): Promise<void> {
    let last: unknown;
    const isAwake = async () => {
      try {
        await this.client.ask(host);
        return true;
      } catch (cause) {
        last = cause;
        return false;
      }
    };
    try {
      await this.#until(`the first answer of ${host}`, isAwake);
    } catch (cause) {
      this.run.signal.throwIfAborted();
      throw new Error(`${host} does not answer`, { cause: last ?? cause });
    }
  }

  #until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
    const wait = async (signal: AbortSignal) => {
      while (!(await isSo())) await delay(RETRY_MS, undefined, { signal });
    };
    return within(FIRST_WAKE_LIMIT_MS, what, wait, this.run.signal);
  }

  /** Lists the snapshots of the host. Each has a manifest, which is written last. */
  #saved(): readonly string[] {
    return globSync(join(this.fleet.services.folder, "hosts/1/hostd/saved/*-ready/saved.json"));
  }
}

function repositoryOf(program: string): string {
  return `bench/proxy-${program}`;
}
