import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostStatus, MachineState } from "../../src/gen/windhover/machines/v1/machine.ts";
import { configOf, type Machine } from "../support/clients.ts";
import { openWorld, type World } from "./world.ts";

const RECOVERY = { timeout: 40_000, interval: 100 };
const EVERYTHING = [
  "api",
  "scheduler",
  "hostd-1",
  "hostd-2",
  "imagecache-1",
  "imagecache-2",
  "postgres",
  "redis",
  "traces",
];

describe("after kill -9", () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  it("of hostd, running machines go on running and are taken over", async () => {
    const { id, before } = await startedMachine("sim-run");

    await world.fleet.crash(hostdOf(id));
    const after = await fromHost(id);

    expect(after).toMatchObject({ state: MachineState.STARTED, generation: before.generation });
    expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
  });

  it("of hostd, an exit while it was away is noticed exactly", async () => {
    const runsForMs = 1_000;
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

  it("of hostd during a start, the machine is started or startable", async () => {
    const { id } = await create(["sim-run"]);

    for (const delayMs of [0, 10, 25]) {
      const start = world.clients.start(id).catch((error: unknown) => error);
      await moment(delayMs);
      await world.fleet.crash(hostdOf(id));
      await start;
      const now = await fromHost(id);
      expect([MachineState.STARTED, MachineState.STOPPED, MachineState.CREATED]).toContain(now.state);
      expect((await world.clients.start(id)).machine?.state).toBe(MachineState.STARTED);
      expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
    }
  });

  it("of the api at any moment of a create, the same request gives one machine", async () => {
    const ids = new Set<string>();
    const moments = [0, 15, 30, 60, 120];

    for (const delayMs of moments) {
      const request = () =>
        world.clients.create({
          app: world.app,
          skipLaunch: true,
          requestId: `api-dies-after-${delayMs}`,
          config: configOf(world.image),
        });
      const first = request().catch((error: unknown) => error);
      await moment(delayMs);
      await world.fleet.crash("api");
      await first;
      ids.add((await reachable(request)).id);
    }

    expect(ids.size).toBe(moments.length);
    await expectQuiet();
  });

  it.each(["scheduler", "hostd-1", "imagecache-1", "redis", "postgres"])(
    "of %s at any moment of a create, it ends as one machine or as nothing",
    async (part) => {
      for (const delayMs of [20, 80]) {
        const first = create(["sim-run"]).catch(() => undefined);
        await moment(delayMs);
        await world.fleet.crash(part);
        await first;
      }
      await reachable(() => create(["sim-run"]));
      await expectQuiet();
    },
  );

  it("of everything at once, machines are still there and start", async () => {
    const { id } = await startedMachine("sim-run");

    await world.fleet.kill(...EVERYTHING);
    await world.fleet.start(...EVERYTHING);

    const after = await fromHost(id);
    expect(after.state).toBe(MachineState.STARTED);
    expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
    expect((await world.clients.start(id)).machine?.state).toBe(MachineState.STARTED);
    await expectQuiet();
  });

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

  /** No hold is left, no create is under way, and hosts and record agree on every machine. */
  async function expectQuiet(): Promise<void> {
    await expect
      .poll(async () => (await world.clients.hosts()).map(({ held }) => held?.memoryMb), RECOVERY)
      .toEqual([0n, 0n]);
    await expect
      .poll(() => world.sql("select create_id from machines where not recorded"), RECOVERY)
      .toEqual([]);
    await expect
      .poll(async () => {
        const [row] = await world.sql<{ count: string }>(
          "select count(*) from machines where state <> 'destroyed'",
        );
        return (
          (await world.clients.hosts()).reduce((sum, host) => sum + machinesOn(host.machines), 0) -
          Number(row?.count)
        );
      }, RECOVERY)
      .toBe(0);
  }
});

/** The name of the part that owns a machine: its id says which host. */
function hostdOf(machineId: string): string {
  return `hostd-${Number.parseInt(machineId.slice(0, 5), 16)}`;
}

function machinesOn(byState: Readonly<Record<string, number>>): number {
  return Object.entries(byState).reduce(
    (sum, [state, count]) => sum + (state === "destroyed" ? 0 : count),
    0,
  );
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

/** Lets the moment of a crash differ. Not a wait for anything: whatever has happened by then is fine. */
function moment(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
