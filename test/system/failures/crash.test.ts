import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { HostStatus, MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { configOf, type Machine } from "../../support/clients.ts";
import { type Invariants, openInvariants } from "../world/invariants.ts";
import { startTraffic } from "../world/traffic.ts";
import { openWorld, type World } from "../world/world.ts";

const MAIN = join(import.meta.dirname, "../../../src/cli/main.ts");
const RECOVERY = { timeout: 60_000, interval: 100 };
const EVERYTHING = [
  "api",
  "scheduler",
  "hostd-1",
  "hostd-2",
  "imagecache-1",
  "imagecache-2",
  "postgres",
  "proxy",
  "redis",
  "traces",
];

describe("after kill -9", () => {
  let world: World;
  let invariants: Invariants;

  beforeAll(async () => {
    world = await openWorld(2, { HOSTD_CPUS: "128", HOSTD_MEMORY_MB: "65536" });
    invariants = await openInvariants(world);
  });
  afterEach(() => world.fleet.awaitHosts());
  afterAll(async () => {
    invariants?.close();
    await world?.close();
  });

  it("of hostd, running machines go on running and are taken over", async () => {
    const { id, before } = await startedMachine("sim-run");

    await world.fleet.crash(hostdOf(id));
    const after = await fromHost(id);

    expect(after).toMatchObject({ state: MachineState.STARTED, generation: before.generation });
    expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
  });

  it("of hostd, an exit while it was away is noticed exactly", async () => {
    const runsForMs = 3_000;
    const { id } = await startedMachine("sim-run-for", String(runsForMs), "sim-exit", "7");
    const endsAt = Date.now() + runsForMs;

    await world.fleet.kill(hostdOf(id));
    await expect.poll(() => Date.now(), RECOVERY).toBeGreaterThan(endsAt);
    await world.fleet.start(hostdOf(id));
    const after = await fromHost(id);

    expect(after.state).toBe(MachineState.STOPPED);
    expect(after.events[0]).toMatchObject({
      type: "exit",
      exit: { exitCode: 7, signal: "", requestedStop: false },
    });
  });

  it("of hostd and then the api, hover's waits and logs go on by themselves, and no line is lost or comes twice", async () => {
    const { id } = await startedMachine("sim-run", "sim-log", "3");
    const logs = hover("machine", "logs", "-f", "--json", id);
    const wait = hover("machine", "wait", "--state", "stopped", id);
    const sequences = () =>
      logs
        .out()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => Number(JSON.parse(line).sequence));
    await expect.poll(sequences, RECOVERY).toHaveLength(3);

    await world.fleet.crash(hostdOf(id));
    await reachable(() => world.clients.get(id));
    await world.fleet.crash("api");
    await reachable(() => world.clients.stop(id));

    expect(await wait.ended).toMatchObject({ code: 0 });
    await reachable(() => world.clients.start(id));
    await expect.poll(() => sequences().length, RECOVERY).toBeGreaterThan(5);
    expect(sequences()).toEqual(sequences().map((_, i) => i + 1));
    logs.child.kill("SIGINT");
    await logs.ended;
  });

  it("of everything at once in the middle of creates, machines are still there and start, and every create ends", async () => {
    const { id } = await startedMachine("sim-run");
    const traffic = startTraffic(world, "everything");
    await traffic.more(6);

    await world.fleet.kill(...EVERYTHING);
    await world.fleet.start(...EVERYTHING);

    const after = await fromHost(id);
    expect(after.state).toBe(MachineState.STARTED);
    expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
    expect((await world.clients.start(id)).machine?.state).toBe(MachineState.STARTED);
    const created = await traffic.settle();
    expect(new Set(created).size).toBe(created.length);
    await invariants.expectRest();
  });

  function hover(...args: string[]) {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { PATH: process.env["PATH"] ?? "", WINDHOVER_DIR: world.fleet.folder },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    const ended = once(child, "close").then(([code]) => ({ code: code as number | null, out, err }));
    return { child, ended, out: () => out };
  }

  function create(cmd: string[]): Promise<Machine> {
    return world.clients.create({
      app: world.app,
      skipLaunch: true,
      config: configOf(world.image, { init: { cmd } }),
    });
  }

  async function startedMachine(...cmd: string[]): Promise<{ id: string; before: Machine }> {
    const { id } = await create(cmd);
    await world.clients.start(id);
    return { id, before: await world.clients.get(id) };
  }

  /** A machine as its own host sees it, once that answers. */
  async function fromHost(id: string): Promise<Machine> {
    return reachable(async () => {
      const machine = await world.clients.get(id);
      return machine.hostStatus === HostStatus.OK ? machine : undefined;
    });
  }
});

/** The name of the part that owns a machine: its id says which host. */
function hostdOf(machineId: string): string {
  return `hostd-${Number.parseInt(machineId.slice(0, 5), 16)}`;
}

/** Calls until it succeeds: right after a crash a neighbour may not be back yet. */
async function reachable<T>(fn: () => Promise<T | undefined>): Promise<T> {
  let last: T | undefined;
  await expect
    .poll(async () => {
      last = await fn().catch(() => undefined);
      return last;
    }, RECOVERY)
    .toBeDefined();
  if (last === undefined) throw new Error("unreachable");
  return last;
}
