import { randomBytes } from "node:crypto";
import { CreateOrganizationRequest } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf } from "../../test/support/clients.ts";
import { buildImage, FakeRegistry, pushImage } from "../../test/support/oci/index.ts";
import type { Run } from "../lib/benchmark.ts";
import { APP, BenchFleet } from "../lib/fleet.ts";
import { PROGRAM_PATH } from "../lib/program.ts";

/** The organisation of the abuser, and its app. */
const ABUSER = "abuser";
const ABUSER_QUOTA = { machines: 100_000, memoryMb: 100_000_000n };
const TOKEN_SECONDS = 86_400n;
const TIMEOUT_MS = 30_000;

/** How slow the abuser's registry is. */
const SLOW_BYTES_PER_SECOND = 20;

/** A fleet with one host, a victim with a machine, and an abuser of another organisation. */
export class NeighboursWorld implements AsyncDisposable {
  readonly fleet: BenchFleet;
  /** The app of the abuser. */
  readonly app = ABUSER;
  /** A token of the abuser. */
  readonly token: string;
  readonly abuser: Clients;
  /** The machine that the victim starts and stops. */
  readonly victimMachine: string;
  /** A registry that sends as good as nothing. */
  readonly slowRegistry: FakeRegistry;
  readonly run: Run;

  private constructor(fleet: BenchFleet, token: string, machine: string, slow: FakeRegistry, run: Run) {
    this.fleet = fleet;
    this.token = token;
    this.abuser = clientsOf(fleet.services.api, token);
    this.victimMachine = machine;
    this.slowRegistry = slow;
    this.run = run;
  }

  static async start(run: Run, vmm: "sim" | "real"): Promise<NeighboursWorld> {
    const fleet = await BenchFleet.start({ hosts: 1, vmm }, run.folder, false, run.signal);
    try {
      const { orgs } = fleet.clients.raw;
      const org = CreateOrganizationRequest.fromPartial({ slug: ABUSER, quota: ABUSER_QUOTA });
      await call(orgs, orgs.createOrganization, org, { timeoutMs: TIMEOUT_MS });
      const wanted = { org: ABUSER, scopes: ["machines:read", "machines:write"], ttlSeconds: TOKEN_SECONDS };
      const { token } = await call(orgs, orgs.createToken, wanted, { timeoutMs: TIMEOUT_MS });
      const { id } = await fleet.create();
      const slow = await FakeRegistry.start();
      slow.script = ({ kind }) => (kind === "blob" ? { bytesPerSecond: SLOW_BYTES_PER_SECOND } : undefined);
      const world = new NeighboursWorld(fleet, token, id, slow, run);
      await world.abuser.createApp(ABUSER);
      return world;
    } catch (cause) {
      await fleet[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Creates machines of the abuser, from the local image, and returns their ids. */
  async abuserMachines(count: number, config: Parameters<typeof configOf>[1] = {}): Promise<string[]> {
    const ids: string[] = [];
    for (let i = 0; i < count; i++) {
      this.run.signal.throwIfAborted();
      const request = { app: ABUSER, config: configOf(this.fleet.image, config), skipLaunch: true };
      ids.push((await this.abuser.create(request, TIMEOUT_MS)).id);
    }
    return ids;
  }

  /** Pushes an image that no host has, and returns its reference. */
  async newImage(): Promise<string> {
    const image = unique();
    const name = `bench/new-${image.digest.slice(-12)}`;
    await pushImage(`http://${this.fleet.services.registry}`, name, "1", image);
    return `${this.fleet.services.registry}/${name}:1`;
  }

  /** Returns references to images in the slow registry, each with a layer of its own. */
  slowImages(count: number): string[] {
    return Array.from({ length: count }, (_, i) => {
      this.slowRegistry.add(`slow/${i}`, "1", unique());
      return `${this.slowRegistry.host}/slow/${i}:1`;
    });
  }

  /** Creates a machine of the victim from an image that no host has. Returns the time, in ms. */
  async victimCreate(image: string, timeoutMs: number): Promise<number> {
    const startedAt = performance.now();
    const request = { app: APP, config: configOf(image), skipLaunch: true };
    const { id } = await this.fleet.clients.create(request, timeoutMs);
    const ms = performance.now() - startedAt;
    await this.fleet.clients.destroy(id, true);
    return ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abuser.close();
    await this.slowRegistry[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }
}

function unique() {
  const content = randomBytes(16 * 1_024);
  return buildImage({
    layers: [[{ path: "content", content }]],
    config: { Entrypoint: [PROGRAM_PATH] },
  });
}
