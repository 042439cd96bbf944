/** The example of functions as a service on a fleet whose machines run nothing. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Windhover } from "../../clients/typescript/src/index.ts";
import { FAAS, Faas } from "../support/faas/faas.ts";
import { startFleet, type TestFleet } from "../support/fleet.ts";
import { buildImage, pushImage } from "../support/oci/index.ts";
import { temporaryFolder } from "../support/temporary.ts";

const scratch = temporaryFolder("faas");
let fleet: TestFleet;
let windhover: Windhover;
let faas: Faas;

beforeAll(async () => {
  fleet = await startFleet({ regions: ["ord", "gru"], hosts: 1, vmm: "sim" });
  windhover = new Windhover({ endpoints: fleet.regions.map(({ api }) => api), token: fleet.token });
  const base = buildImage({ layers: [[{ path: "base", content: "base" }]], config: {} });
  await pushImage(`http://${fleet.registry}`, "library/base", "1", base);
  faas = await Faas.open(fleet);
});

afterAll(async () => {
  await faas?.[Symbol.asyncDispose]();
  windhover?.close();
  await fleet?.close();
  scratch.remove();
});

test("a deployment takes its base from the registry, and leaves nothing when it fails", async () => {
  const folder = sourceFolder("birds");

  const printed = await faas.deploy(folder, "--base", "library/base:1", "--machines", "2");
  const failed = await faas
    .deploy(folder, "--base", "library/base:1", "--machines", "1", "--regions", "ord,nowhere")
    .catch((err: unknown) => String(err));

  expect(printed).toContain(`base image ${fleet.registry}/library/base:1\n`);
  expect(failed).toMatch(/nowhere/);
  const machines = await machinesOf("birds");
  expect(machines.map(({ region }) => region).sort()).toEqual(["gru", "gru", "ord", "ord"]);
  const versions = new Set(machines.map(({ config }) => config?.metadata["version"]));
  expect([...versions]).toEqual([/version (\S+)/.exec(printed)?.[1]]);
  await expect(faas.deploy(folder, "--base", "library/none:1")).rejects.toThrow("--base");
});

test("calls beyond the machines launch one more, and are told when no function becomes ready", async () => {
  const printed = await faas.deploy(sourceFolder("silent"), "--base", "library/base:1", "--machines", "1");
  const seen = new Set<string>();
  const end = new AbortController();
  const watching = (async () => {
    for await (const { machine } of windhover.machines.watch({ app: "faas", signal: end.signal })) {
      if (machine.state === "started") seen.add(machine.id);
    }
  })().catch((err: unknown) => err);
  const url = await faas.serve("--regions", "ord,gru", "--start-timeout", "3");

  const calls = [1, 2, 3].map(() => fetch(`${url}/fn/silent`, { method: "POST" }));
  const answers = await Promise.all((await Promise.all(calls)).map((answer) => answer.json()));

  expect(answers.map((answer) => (answer as { code: string }).code)).toEqual(Array(3).fill("START_TIMEOUT"));
  await expect.poll(() => seen.size).toBe(3);
  end.abort();
  await watching;
  // The launched one has gone, and the others rest.
  const deployed = [...printed.matchAll(/machine ([0-9a-f]{14})/g)].map(([, id]) => id);
  await expect
    .poll(async () => (await machinesOf("silent")).map(({ id, state }) => [id, state]).sort())
    .toEqual(deployed.map((id) => [id, "stopped"]).sort());
});

test("the server replaces an old version, and a function is removed with all it had", async () => {
  const printed = await faas.deploy(sourceFolder("birds"), "--base", "library/base:1", "--machines", "1");
  const version = /version (\S+)/.exec(printed)?.[1];

  await expect
    .poll(async () => (await machinesOf("birds")).map(({ config }) => config?.metadata["version"]))
    .toEqual([version, version]);
  expect(await faas.remove("birds")).toBe("2 machines destroyed\n");
  const tags = await fetch(`http://${fleet.registry}/v2/faas/functions/birds/tags/list`);
  expect(((await tags.json()) as { tags: unknown }).tags).toBeNull();
});

function sourceFolder(name: string): string {
  const folder = join(scratch.path, name);
  cpSync(join(FAAS, "functions/hello"), folder, { recursive: true });
  return folder;
}

function machinesOf(name: string) {
  return Array.fromAsync(windhover.machines.list({ app: "faas", metadata: { function: name } }));
}
