import { randomBytes } from "node:crypto";
import { CreateOrganizationRequest } from "../../src/gen/windhover/admin/v1/organizations.ts";
import { call } from "../../src/lib/grpc/client.ts";
import { type Clients, clientsOf, configOf } from "../../test/support/clients.ts";
import { buildImage, FakeRegistry, pushImage } from "../../test/support/oci/index.ts";
import type { Run } from "../lib/benchmark.ts";
import { APP, BenchFleet } from "../lib/fleet.ts";
import { PROGRAM_PATH } from "../lib/program.ts";

const ABUSER_QUOTA = { machines: 100_000, memoryMb: 100_000_000n };
const TOKEN_SECONDS = 86_400n;
const TIMEOUT_MS = 30_000;

/** How slow the abuser's registry is. */
const SLOW_BYTES_PER_SECOND = 20;

/** A fleet with one host, and a victim with a machine. */
export class NeighboursWorld implements AsyncDisposable {
  readonly fleet: BenchFleet;
  /** The machine that the victim starts and stops. */
  readonly victimMachine: string;
  /** A registry that sends as good as nothing. */
  readonly slowRegistry: FakeRegistry;
  readonly run: Run;
  readonly #abusers: AbuserOrg[] = [];

  private constructor(fleet: BenchFleet, machine: string, slow: FakeRegistry, run: Run) {
    this.fleet = fleet;
    this.victimMachine = machine;
    this.slowRegistry = slow;
    this.run = run;
  }

  static async start(run: Run, vmm: "sim" | "real"): Promise<NeighboursWorld> {
    const slow = await FakeRegistry.start();
    slow.script = ({ kind }) => (kind === "blob" ? { bytesPerSecond: SLOW_BYTES_PER_SECOND } : undefined);
    const options = { hosts: 1, vmm, environment: { REGISTRY_ALLOW_PRIVATE: slow.host } };
    const fleet = await BenchFleet.start(options, run.folder, false, run.signal);
    try {
      return new NeighboursWorld(fleet, (await fleet.create()).id, slow, run);
    } catch (cause) {
      await slow[Symbol.asyncDispose]();
      await fleet[Symbol.asyncDispose]();
      throw cause;
    }
  }

  /** Creates an organisation with an app. Each abuser has its own, so that none has to wait for its rates. */
  async openAbuser(name: string): Promise<AbuserOrg> {
    const slug = name.replaceAll("_", "-");
    const { orgs } = this.fleet.clients.raw;
    const org = CreateOrganizationRequest.fromPartial({ slug, quota: ABUSER_QUOTA });
    await call(orgs, orgs.createOrganization, org, { timeoutMs: TIMEOUT_MS });
    const scopes = ["machines:read", "machines:write"];
    const wanted = { org: slug, scopes, ttlSeconds: TOKEN_SECONDS, subject: "" };
    const { token } = await call(orgs, orgs.createToken, wanted, { timeoutMs: TIMEOUT_MS });
    const abuser = new AbuserOrg(this, slug, token);
    this.#abusers.push(abuser);
    await abuser.clients.createApp(slug);
    return abuser;
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
    for (const { clients } of this.#abusers) clients.close();
    await this.slowRegistry[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }
}

/** An organisation that is after others. */
export class AbuserOrg {
  /** Also the name of its app. */
  readonly name: string;
  readonly token: string;
  readonly clients: Clients;
  readonly #world: NeighboursWorld;

  constructor(world: NeighboursWorld, name: string, token: string) {
    this.name = name;
    this.token = token;
    this.clients = clientsOf(world.fleet.services.api, token);
    this.#world = world;
  }

  /** Creates machines from the local image and returns their ids. */
  async machines(count: number, config: Parameters<typeof configOf>[1] = {}): Promise<string[]> {
    const { run, fleet } = this.#world;
    const ids: string[] = [];
    for (let i = 0; i < count; i++) {
      run.signal.throwIfAborted();
      const request = { app: this.name, config: configOf(fleet.image, config), skipLaunch: true };
      ids.push((await this.clients.create(request, TIMEOUT_MS)).id);
    }
    return ids;
  }
}

function unique() {
  const content = randomBytes(16 * 1_024);
  return buildImage({
    layers: [[{ path: "content", content }]],
    config: { Entrypoint: [PROGRAM_PATH] },
  });
}
