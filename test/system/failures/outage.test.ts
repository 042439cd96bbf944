import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { configOf, type Machine } from "../../support/clients.ts";
import { openWorld, type World } from "../world/world.ts";

const CENTRAL = ["postgres", "redis", "scheduler", "registry"];
const RECOVERY = { timeout: 60_000, interval: 100 };

// One story: each test goes on where the one before it ended.
describe("with Postgres, Redis, the scheduler and the registry all down", { shuffle: false }, () => {
  let world: World;
  const machines: Machine[] = [];

  beforeAll(async () => {
    world = await openWorld();
    for (let i = 0; i < 3; i++) machines.push(await create());
    await world.fleet.stop(...CENTRAL);
  });
  afterAll(() => world?.close());

  it("machines start, stop and start again", async () => {
    for (const { id } of machines) {
      const first = await world.clients.start(id);
      expect(first.machine?.state).toBe(MachineState.STARTED);
      expect(first.alreadyStarted).toBe(false);

      const stopped = await world.clients.stop(id);
      expect(stopped.machine?.state).toBe(MachineState.STOPPED);

      const second = await world.clients.start(id);
      expect(second.machine?.state).toBe(MachineState.STARTED);
      expect(second.machine?.generation).toBeGreaterThan(first.machine?.generation ?? 0n);
    }
  });

  it("the machine is told about by its host, and logs and waits work", async () => {
    const id = machines[0]?.id ?? "";

    expect((await world.clients.get(id)).state).toBe(MachineState.STARTED);
    expect((await world.clients.wait(id, [MachineState.STARTED])).id).toBe(id);
    await expect(world.clients.logs(id)).resolves.toBeInstanceOf(Array);
  });

  it("a restarted api still finds every host", async () => {
    await world.fleet.restart("api");

    for (const { id } of machines)
      expect((await world.clients.stop(id)).machine?.state).toBe(MachineState.STOPPED);
    for (const { id } of machines)
      expect((await world.clients.start(id)).machine?.state).toBe(MachineState.STARTED);
  });

  it("a create fails at once with the reason, and nothing is left on any host", async () => {
    await expect(create()).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    const hosts = await world.clients.hosts();

    expect(hosts.length).toBe(2);
  });

  it("the record catches up when they come back, with nothing lost or doubled", async () => {
    await world.fleet.start(...CENTRAL);
    const truth = await Promise.all(machines.map(({ id }) => world.clients.get(id)));

    await expect
      .poll(async () => summary(await world.clients.list(world.app)), RECOVERY)
      .toEqual(summary(truth));
    for (const machine of truth) {
      const events = await eventsOf(world, machine.id);
      // launch, then start+stop, start+stop (api restart), start ... each exactly once and in order.
      expect(events.filter(({ type }) => type === "launch")).toHaveLength(1);
      expect(events.filter(({ type }) => type === "start")).toHaveLength(3);
      expect(events.filter(({ type }) => type === "exit")).toHaveLength(2);
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
    }
  });

  it("creates work again", async () => {
    const machine = await expect
      .poll(() => create().catch(() => undefined), RECOVERY)
      .toBeDefined()
      .then(create);

    expect(machine.state).toBe(MachineState.CREATED);
  });

  function create(): Promise<Machine> {
    return world.clients.create({ app: world.app, skipLaunch: true, config: configOf(world.image) });
  }
});

function summary(list: readonly Machine[]) {
  return list
    .map(({ id, state, generation }) => ({ id, state, generation }))
    .sort((a, b) => a.id.localeCompare(b.id));
}

/** What Postgres holds of a machine's events. */
async function eventsOf(world: World, machineId: string): Promise<{ id: string; type: string }[]> {
  return world.sql<{ id: string; type: string }>(
    "select id, event->>'type' as type from machine_events where machine_id = $1 order by id",
    [machineId],
  );
}
