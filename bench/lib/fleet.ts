import { setTimeout as delay } from "node:timers/promises";
import { UpdateOrganizationRequest } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { StartMachineRequest } from "../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../test/support/clients.ts";
import { startFleet, type TestFleet, type TestFleetOptions } from "../../test/support/fleet.ts";
import { pushImage } from "../../test/support/oci/index.ts";
import { traceClient } from "../../test/support/telemetry/trace-client.ts";
import { programImage } from "./program.ts";
import type { VmmInfo } from "./report/machine.ts";

/** How long the services of a fresh fleet warm up (`API_WARM_UP_CALLS`). */
const WARM_UP_MS = 15_000;
/** The app of its machines. */
export const APP = "bench";
/** The organisation of the development token. */
const ORG = "personal";
const REPOSITORY = "bench/line";
const TIMEOUT_MS = 60_000;

const ENVIRONMENT = {
  API_WARM_UP_CALLS: undefined,
  HOSTD_WARM_UP_CALLS: undefined,
  // No start of a burst is refused for lack of CPUs.
  HOSTD_CPUS: "256",
  // The traces of a run are read at its end.
  TRACES_KEEP: "100000",
  TRACES_BUDGET_MB: "1024",
};
/** Simulated machines take no memory, so a host may have any number of them. */
const SIMULATED = { HOSTD_MEMORY_MB: "1048576", HOSTD_CPUS: "4096", HOSTD_DISK_MB: "10485760" };

/** A fleet with an app in it, and the program's image in its registry. */
export class BenchFleet implements AsyncDisposable {
  readonly services: TestFleet;
  readonly clients: Clients;
  /** Reference of the program's image. */
  readonly image: string;
  #stopTracing: (() => Promise<void>) | undefined;

  private constructor(services: TestFleet) {
    this.services = services;
    this.clients = clientsOf(services.api, services.token);
    this.image = `${services.registry}/${REPOSITORY}:1`;
  }

  /**
   * Starts a fleet and waits until it has warmed up.
   *
   * @param folder for the program
   * @param isTraced whether this process sends its spans to the fleet, and to no other
   */
  static async start(
    { environment, ...options }: TestFleetOptions,
    folder: string,
    isTraced: boolean,
    signal: AbortSignal,
  ): Promise<BenchFleet> {
    const image = await programImage(folder, signal);
    const simulated = options.vmm === "real" ? {} : SIMULATED;
    const variables = { ...ENVIRONMENT, ...simulated, ...environment };
    const fleet = new BenchFleet(await startFleet({ ...options, environment: variables, signal }));
    try {
      await pushImage(`http://${fleet.services.registry}`, REPOSITORY, "1", image);
      await fleet.clients.createApp(APP);
      await fleet.#raiseQuota();
      if (isTraced) fleet.#stopTracing = await traceClient(fleet.services);
      await delay(WARM_UP_MS, undefined, { signal });
      return fleet;
    } catch (cause) {
      await fleet[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** How its first host runs VMs. */
  async vmm(): Promise<VmmInfo> {
    const [host] = await this.clients.hosts();
    if (host === undefined) throw new Error("the fleet has no host");
    return { name: host.vmm, acceleration: host.acceleration, reason: host.vmmReason };
  }

  /** Creates a machine without a start. The first create pulls the image. */
  create(): Promise<Machine> {
    return this.clients.create({ app: APP, config: configOf(this.image), skipLaunch: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopTracing?.();
    this.clients.close();
    await this.services.close();
  }

  async #raiseQuota(): Promise<void> {
    const { orgs } = this.clients.raw;
    const quota = { machines: 100_000, memoryMb: 100_000_000n };
    const request = UpdateOrganizationRequest.fromPartial({ slug: ORG, quota });
    await call(orgs, orgs.updateOrganization, request, { timeoutMs: 10_000 });
  }
}

/** Starts a machine without the start watch. Returns the trace's id. */
export async function startUnwatched({ raw: { machines } }: Clients, machineId: string): Promise<string> {
  const request = StartMachineRequest.fromPartial({ machineId, watch: { seconds: 0n, nanos: 0 } });
  const answer = await call(machines, machines.startMachine, request, { timeoutMs: TIMEOUT_MS });
  return answer.machine?.lastStartTraceId ?? "";
}
