import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { UpdateOrganizationRequest } from "../../../src/gen/windhover/admin/v1/organizations.ts";
import { mintToken } from "../../../src/lib/auth/auth.ts";
import { call } from "../../../src/lib/grpc/client.ts";
import { clientsOf } from "../../support/clients.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";

const REPOSITORY = "samples/hello";
const FOREVER = { Cmd: ["sim-run"] };

/** An answer of the REST API. */
export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body; undefined when it is empty. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and assert what they find
  readonly json: any;
}

/** A fleet with simulated VMs, its REST API, and an image. */
export class RestFleet {
  readonly fleet: TestFleet;
  /** `http://host:port`, without `/v1`. */
  readonly url: string;
  readonly image: string;

  constructor(fleet: TestFleet, url: string, image: string) {
    this.fleet = fleet;
    this.url = url;
    this.image = image;
  }

  get token(): string {
    return this.fleet.token;
  }

  /** Makes a request as the developer. A body is sent as JSON, text as it is. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answered> {
    const response = await fetch(`${this.url}/v1${path}`, {
      method,
      redirect: "error",
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const { status, headers: answered } = response;
    return { status, headers: answered, text, json: text === "" ? undefined : JSON.parse(text) };
  }

  /** The same; fails unless it succeeds. Returns the body. */
  async ok(...request: Parameters<RestFleet["call"]>): Promise<Answered["json"]> {
    const { status, text, json } = await this.call(...request);
    expect(status, `${request[0]} ${request[1]}: ${text}`).toBeLessThan(300);
    return json;
  }

  /** Creates an organisation, and returns a token for it. */
  async organization(slug: string, name: string): Promise<string> {
    const clients = clientsOf(this.fleet.regions[0]?.api ?? "", this.token);
    const { orgs } = clients.raw;
    await call(orgs, orgs.createOrganization, { slug, name, quota: undefined }, { timeoutMs: 20_000 });
    clients.close();
    const scopes = ["machines:read", "machines:write"] as const;
    return await mintToken(this.fleet.signingKey, { subject: "test", org: slug, scopes }, 3_600);
  }

  /** Creates an app of a new name. */
  async app(): Promise<string> {
    const name = `app-${randomBytes(6).toString("hex")}`;
    await this.ok("POST", "/apps", { app_name: name, org_slug: "personal" });
    return name;
  }

  /** Creates a machine and returns it. */
  async machine(app: string, config: object = {}, request: object = {}): Promise<Answered["json"]> {
    return await this.ok("POST", `/apps/${app}/machines`, {
      config: { image: this.image, ...config },
      ...request,
    });
  }

  close(): Promise<void> {
    return this.fleet.close();
  }
}

/** Machines that the tests leave behind, in whatever order, are fewer. */
const QUOTA = { machines: 1_000, memoryMb: 1_000_000 };
/** Room for all machines of the tests, and not for one of 32 GB. */
const ROOM = { HOSTD_CPUS: "400", HOSTD_MEMORY_MB: "30000", HOSTD_DISK_MB: "1000000" };

/** Brings up a fleet of one host. */
export async function openRestFleet(): Promise<RestFleet> {
  const fleet = await startFleet({ hosts: 1, vmm: "sim", environment: ROOM });
  const content = buildImage({ layers: [[{ path: "sample", content: "sample" }]], config: FOREVER });
  await pushImage(`http://${fleet.registry}`, REPOSITORY, "latest", content);
  const [region] = fleet.regions;
  if (!region) throw new Error("the fleet has no region");
  const clients = clientsOf(region.api, fleet.token);
  const { orgs } = clients.raw;
  const update = UpdateOrganizationRequest.fromPartial({ slug: "personal", quota: QUOTA });
  await call(orgs, orgs.updateOrganization, update, { timeoutMs: 20_000 });
  clients.close();
  return new RestFleet(fleet, `http://${region.rest}`, `${fleet.registry}/${REPOSITORY}`);
}
