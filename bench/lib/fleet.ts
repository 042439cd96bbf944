import { setTimeout as delay } from "node:timers/promises";
import { Fleet } from "../../dev/fleet/fleet.ts";
import { layoutOf } from "../../dev/settings/layout.ts";
import { privateSettings } from "../../dev/settings/settings.ts";
import { UpdateOrganizationRequest } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf, type Machine } from "../../test/support/clients.ts";
import { TestFleet } from "../../test/support/fleet.ts";
import { type BuiltImage, pushImage } from "../../test/support/oci/index.ts";
import { temporaryFolder } from "../../test/support/temporary.ts";
import { guestFolder } from "../../tools/lib/paths.ts";

/** What kind of fleet a benchmark wants. */
export interface BenchFleetOptions {
  readonly hosts: number;
  /** `real`: what this machine can do. `sim`: no VMs, no time spent on them. */
  readonly vmm: "real" | "sim";
  /** Variables for the services, e.g. `HOSTD_START_PATHS`. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly image: BuiltImage;
}

const START_TIMEOUT_MS = 180_000;
/** How long the services of a fresh fleet warm up (`API_WARM_UP_CALLS`), generously: a fleet in use has been up for a while. */
const WARM_UP_MS = 15_000;
/** The app that its machines belong to. */
export const APP = "bench";
/** The organisation of the development token. */
const ORG = "personal";
const REPOSITORY = "bench/line";

/** A fleet of one's own, with an app in it and the image in its registry. Close it at the end, or declare it with `await using`. */
export class BenchFleet {
  readonly services: TestFleet;
  readonly clients: Clients;
  /** Reference of the program's image. */
  readonly image: string;

  private constructor(services: TestFleet, clients: Clients, image: string) {
    this.services = services;
    this.clients = clients;
    this.image = image;
  }

  /** Brings it up; some twenty seconds, and a boot of the guest more. An abort of `signal` takes it down again. */
  static async start(options: BenchFleetOptions, signal: AbortSignal): Promise<BenchFleet> {
    const services = await startServices(options, signal);
    const clients = clientsOf(services.api, services.token);
    try {
      await pushImage(`http://${services.registry}`, REPOSITORY, "1", options.image);
      await clients.createApp(APP);
      await delay(WARM_UP_MS, undefined, { signal });
      return new BenchFleet(services, clients, `${services.registry}/${REPOSITORY}:1`);
    } catch (cause) {
      clients.close();
      await services.close();
      throw cause;
    }
  }

  /** Makes a machine and does not start it. The first one makes the image local, so the others find it cached. */
  create(): Promise<Machine> {
    return this.clients.create({ app: APP, config: configOf(this.image), skipLaunch: true });
  }

  /** Lets the organisation have so many machines at a time. */
  async allow(quota: { readonly machines: number; readonly memoryMb: number }): Promise<void> {
    const { orgs } = this.clients.raw;
    const request = UpdateOrganizationRequest.fromPartial({
      slug: ORG,
      quota: { machines: quota.machines, memoryMb: BigInt(quota.memoryMb) },
    });
    await call(orgs, orgs.updateOrganization, request, { timeoutMs: 10_000 });
  }

  async close(): Promise<void> {
    this.clients.close();
    await this.services.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function startServices(options: BenchFleetOptions, signal: AbortSignal): Promise<TestFleet> {
  const scratch = temporaryFolder("bench");
  const fleet = await newFleet(scratch.path, options);
  try {
    await fleet.start(AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]));
  } catch (cause) {
    scratch.remove();
    throw cause;
  }
  return new TestFleet(fleet, scratch.remove);
}

async function newFleet(folder: string, options: BenchFleetOptions): Promise<Fleet> {
  const layout = layoutOf(folder);
  const overrides = {
    HOSTD_VMM: options.vmm === "sim" ? "sim" : "auto",
    // A burst is about VMs, and their CPUs are shared: none of it may be refused for want of promised ones.
    HOSTD_CPUS: "256",
    // Every trace of a run is looked at when it is over.
    TRACES_KEEP: "100000",
    TRACES_BUDGET_MB: "1024",
    ...options.environment,
  };
  return new Fleet(layout, await privateSettings(layout.folder, guestFolder(), options.hosts, overrides));
}
