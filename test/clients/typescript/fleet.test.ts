/** The client at two apis of a real fleet, one of which goes. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Windhover } from "../../../clients/typescript/src/index.ts";
import { startFleet, type TestFleet } from "../../support/fleet.ts";
import { buildImage, pushImage } from "../../support/oci/index.ts";

let fleet: TestFleet;
let windhover: Windhover;
let image: string;

beforeAll(async () => {
  fleet = await startFleet({ regions: ["ord", "gru"], hosts: 1, vmm: "sim" });
  windhover = new Windhover({ endpoints: fleet.regions.map(({ api }) => api), token: fleet.token });
  image = `${fleet.registry}/clients/sample:1`;
  const content = buildImage({
    layers: [[{ path: "sample", content: "sample" }]],
    config: { Cmd: ["sim-log", "3"] },
  });
  await pushImage(`http://${fleet.registry}`, "clients/sample", "1", content);
  await windhover.apps.create("clients");
});

afterAll(async () => {
  windhover?.close();
  await fleet?.close();
});

test("watches, logs and calls go on while the apis crash one after the other", async () => {
  const { machines } = windhover;
  const config = { image };
  await windhover.apps.create("watched");
  const { id } = await machines.create({ app: "watched", config, region: "ord", skipLaunch: true });
  const states: string[] = [];
  const watching = (async () => {
    for await (const { machine } of machines.watch({ app: "watched" })) {
      if (machine.state !== states.at(-1)) states.push(machine.state);
      if (machine.state === "destroyed") return;
    }
  })();
  await expect.poll(() => states).toEqual(["created"]);
  const lines: string[] = [];
  const end = new AbortController();
  const logging = (async () => {
    const following = machines.logs(id, { follow: true, signal: end.signal });
    for await (const { text, stream } of following) if (stream !== "system") lines.push(text);
  })().catch((err: unknown) => err);

  await machines.start(id);
  await expect.poll(() => lines.length).toBe(3);
  await fleet.crash("api");
  await machines.stop(id);
  await fleet.crash("api-gru");
  await machines.start(id);
  await expect.poll(() => lines.length).toBe(6);
  end.abort();
  await machines.destroy(id, { force: true });

  await watching;
  expect(await logging).toMatchObject({ code: "CANCELLED" });
  const settled = states.filter((state) => !state.endsWith("ing"));
  expect(settled).toEqual(["created", "started", "stopped", "started", "destroyed"]);
}, 180_000);

test("a command has a terminal that changes its size, and gets signals", async () => {
  const { id } = await windhover.machines.create({
    app: "clients",
    config: { image, init: { cmd: ["sim-run"] } },
  });
  const child = await windhover.exec.start(id, ["sizes"], { terminal: { rows: 24, columns: 80 } });
  let output = "";
  child.stdout.on("data", (bytes: Buffer) => {
    output += bytes.toString();
  });

  await expect.poll(() => output).toContain("24 80");
  child.resize(50, 120);
  await expect.poll(() => output).toContain("50 120");
  child.signal("SIGTERM");

  expect(await child.exit).toEqual({ exitCode: 143, signal: "SIGTERM" });
  const processes = await windhover.exec.processes(id);
  expect(processes.map(({ pid }) => pid)).toEqual([1]);
});

test("an attenuated token does what is left to it, and nothing else", async () => {
  const endpoints = [fleet.regions[0]?.api ?? ""];
  const config = { image };
  const { id } = await windhover.machines.create({ app: "clients", config, skipLaunch: true });
  const token = await windhover.tokens.attenuate({
    machines: [id],
    actions: ["machines:get", "machines:start"],
    ttlMs: 600_000,
  });
  const other = new Windhover({ endpoints, token: () => Promise.resolve(token) });

  const [started, refused] = await Promise.all([
    other.machines.start(id),
    other.machines.destroy(id, { force: true }).catch((err: unknown) => err),
  ]);
  other.close();

  expect(started.machine.state).toBe("started");
  expect(refused).toMatchObject({ code: "PERMISSION_DENIED", reason: "TOKEN_RESTRICTED" });
});
