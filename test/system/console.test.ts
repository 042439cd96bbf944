import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Clients, clientsOf, configOf } from "../support/clients.ts";
import { startFleet, type TestFleet } from "../support/fleet.ts";
import { buildImage, pushImage } from "../support/oci/index.ts";

const MAIN = join(import.meta.dirname, "../../src/cli/main.ts");

describe("the console of a fleet", () => {
  let fleet: TestFleet;
  let clients: Clients;
  let id: string;
  /** Trace of the one start. */
  let traceId: string | undefined;

  beforeAll(async () => {
    fleet = await startFleet({ hosts: 1, vmm: "sim", console: true });
    clients = clientsOf(fleet.api, fleet.token);
    await fleet.part("console").whenReady(60_000);
    const content = buildImage({
      layers: [[{ path: "sample", content: "x" }]],
      config: { Cmd: ["sim-run"] },
    });
    await pushImage(`http://${fleet.registry}`, "system/sample", "1", content);
    await clients.createApp("seen");
    const config = configOf(`${fleet.registry}/system/sample:1`);
    ({ id } = await clients.create({ app: "seen", skipLaunch: true, config }));
    traceId = (await clients.start(id)).machine?.lastStartTraceId;
  });
  afterAll(async () => {
    clients?.close();
    await fleet?.close();
  });

  it("shows a start on the command line and in a session that a link opened", async () => {
    await expect
      .poll(async () => (await hover("latency", "--app", "seen", "--by", "machine")).groups)
      .toMatchObject([{ value: id, count: 1, failed: 0 }]);
    const { url } = await hover("console");
    const opened = await fetch(String(url), { redirect: "manual" });
    const cookie = opened.headers.get("set-cookie")?.split(";")[0] ?? "";
    const overview = await ask("/api/overview?app=seen", cookie);
    const trace = await ask(`/api/traces/${traceId}`, cookie);

    expect(overview).toMatchObject({ matching: 1, worst: [{ machineId: id, org: "personal", reason: "" }] });
    expect(overview).toMatchObject({ hosts: [{ host: fleet.hosts[0]?.name }] });
    const [start] = Object(overview)["worst"];
    const hops: number[] = Object.values(start.hops);
    expect(hops.reduce((sum, us) => sum + us, 0)).toBe(start.durationUs);
    expect(trace).toMatchObject({ machine_id: id });
  });

  it("goes on where the receiver goes on after kill -9, and after its own", async () => {
    await expect.poll(count).toBeGreaterThan(0);
    const before = await count();
    await fleet.crash("traces", "console");

    await expect.poll(count).toBeGreaterThanOrEqual(before);
  });

  /** Operations of all kinds that the console has. */
  async function count(): Promise<number> {
    return (await hover("latency", "--kind", "all")).all?.count ?? 0;
  }

  interface Printed {
    readonly url?: string;
    readonly groups?: readonly object[];
    readonly all?: { readonly count: number };
  }

  async function hover(...args: string[]): Promise<Printed> {
    const env = { PATH: process.env["PATH"] ?? "", WINDHOVER_DIR: fleet.folder };
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args, "--json"], { env });
    return JSON.parse(stdout);
  }

  async function ask(path: string, cookie: string): Promise<unknown> {
    return (await fetch(`${fleet.console}${path}`, { headers: { cookie } })).json();
  }
});
