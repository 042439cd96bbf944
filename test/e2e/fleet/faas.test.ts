/** The example of functions as a service on real VMs: a host in each of two regions. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Windhover } from "../../../clients/typescript/src/index.ts";
import { run } from "../../../tools/lib/run.ts";
import { exampleEnvironment } from "../../clients/examples.ts";
import { FAAS, Faas } from "../../support/faas/faas.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { temporaryFolder } from "../../support/temporary.ts";

/** Node takes long to boot in an emulated machine. */
const LIMITS = ["--start-timeout", "200", "--timeout", "60", "--hedge", "0"];
const SLOW = { timeout: 120_000, interval: 250 };

// One story: each test goes on where the one before it ended.
describe("functions as a service with real VMs in two regions", { shuffle: false }, () => {
  const scratch = temporaryFolder("faas");
  let fleet: TestFleet;
  let faas: Faas;
  let windhover: Windhover;
  let url: string;

  beforeAll(async () => {
    fleet = await startFleet({ regions: ["ord", "gru"], hosts: 1, vmm: "real" });
    windhover = new Windhover({ endpoints: fleet.regions.map(({ api }) => api), token: fleet.token });
    faas = await Faas.open(fleet);
  });
  afterAll(async () => {
    await faas?.[Symbol.asyncDispose]();
    windhover?.close();
    await fleet?.close();
    scratch.remove();
  });

  it("deploys a function: an image, and a stopped machine in each region", async () => {
    const options = ["--regions", "ord,gru", "--machines", "1", "--idle", "20"];

    const printed = await faas.deploy(join(FAAS, "functions/hello"), ...options);

    expect(printed).toMatch(/^hello is deployed: version /m);
    expect(await states()).toEqual(["gru created", "ord created"]);
  });

  it("runs it on a machine that a call starts, and then on the same one", async () => {
    url = await faas.serve("--regions", "ord,gru", ...LIMITS);

    const [first, second] = [await hello("kestrel"), await hello("merlin")];

    expect(first).toMatchObject({
      status: 200,
      region: "ord",
      start: expect.stringMatching(/warm|template|cold/),
    });
    expect(first.body).toEqual({ hello: "kestrel", from: first.machine });
    expect(second).toMatchObject({ status: 200, start: "running", machine: first.machine });
    await expect
      .poll(async () => (await fetch(`${url}/fn/hello/logs`)).text(), SLOW)
      .toContain("greeting merlin");
  });

  it("scales to zero: the machine exits by itself when it has been idle", async () => {
    await expect.poll(states, SLOW).toEqual(["gru created", "ord stopped"]);
  });

  it("runs calls in the other region while the hosts of the nearest one are gone", async () => {
    await fleet.kill("hostd-1");

    const answer = await hello("hobby");

    expect(answer).toMatchObject({ status: 200, region: "gru", body: { hello: "hobby" } });
    await fleet.start("hostd-1");
    await expect.poll(states, SLOW).toEqual(["gru stopped", "ord stopped"]);
  });

  it("is called by a Python program without the server", async () => {
    const cwd = join(FAAS, "python");
    const env = exampleEnvironment({ fleet });
    await run(join(FAAS, "../../node_modules/.bin/buf"), ["generate"], { cwd, env });

    const printed = await run("/usr/bin/python3", ["run.py", "hello", '{"name":"lanner"}'], { cwd, env });

    expect(JSON.parse(printed)).toMatchObject({ hello: "lanner" });
  });

  it("is called by curl through the proxy, which starts a machine for it", async () => {
    const image = (await windhover.machines.list({ app: "faas" }).next()).value?.config?.image ?? "";
    const { PROXY_LISTEN } = fleet.part("proxy").spec.environment;
    const env = { WINDHOVER_REST: fleet.rest, WINDHOVER_PROXY: `http://${PROXY_LISTEN}` };
    const script = (...args: string[]) =>
      run(join(FAAS, "curl/faas.sh"), args, { env: { ...exampleEnvironment({ fleet }), ...env } });
    await script("deploy", "curlew", image, "1");

    const answer = await expect
      .poll(() => script("call", "curlew", '{"name":"curlew"}').catch(String), SLOW)
      .toContain('"hello"')
      .then(() => script("call", "curlew", '{"name":"whimbrel"}'));
    await script("remove", "curlew");

    expect(JSON.parse(answer)).toMatchObject({ hello: "whimbrel" });
  });

  it("a new version takes the place of the old one, whose machines go", async () => {
    const folder = join(scratch.path, "hello");
    cpSync(join(FAAS, "functions/hello"), folder, { recursive: true });
    const printed = await faas.deploy(folder, "--regions", "gru", "--machines", "1", "--idle", "20");
    const version = /version (\S+)/.exec(printed)?.[1];

    await expect.poll(states, SLOW).toEqual(["gru created"]);
    expect(await (await fetch(`${url}/fn/hello`)).json()).toMatchObject({ version });
    expect(await faas.remove("hello")).toBe("1 machines destroyed\n");
  });

  async function hello(name: string) {
    const headers = { "content-type": "application/json" };
    const signal = AbortSignal.timeout(270_000);
    const answer = await fetch(`${url}/fn/hello`, {
      method: "POST",
      headers,
      body: JSON.stringify({ name }),
      signal,
    });
    const { status } = answer;
    const [machine, region, start] = ["machine", "region", "start"].map((each) =>
      answer.headers.get(`x-faas-${each}`),
    );
    return { status, machine, region, start, body: await answer.json() };
  }

  /** Where machines are, and their states. */
  async function states(): Promise<readonly string[]> {
    const all: string[] = [];
    for await (const { region, state } of windhover.machines.list({ app: "faas" }))
      all.push(`${region} ${state}`);
    return all.sort();
  }
});
