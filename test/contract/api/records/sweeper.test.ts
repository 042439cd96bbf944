import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { type TestApi, World } from "../fixture.ts";

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(() => world.clear());

describe("the sweeper", () => {
  const sweep = () => api.sweep(new AbortController().signal);
  const old = new Date(Date.now() - 3_600_000);

  test("destroys unknown machines, once it is old enough", async () => {
    const { machine } = await api.user.create();
    if (!machine) throw new Error("no machine");
    const host = world.host(1);
    host.machines.set("00001000000001", { ...machine, id: "00001000000001", createTime: old });
    host.machines.set("00001000000002", { ...machine, id: "00001000000002", createTime: new Date() });

    await sweep();

    expect([...host.machines.keys()].sort()).toEqual(["00001000000002", machine.id].sort());
  });

  test("marks a machine that is missing on its host as destroyed, with an event that says so", async () => {
    const { machine } = await api.user.create({ name: "missing" });
    world.host(1).machines.clear();

    await sweep();

    const seen = await api.user.get(machine?.id ?? "");
    expect(seen?.state).toBe(MachineState.DESTROYED);
    expect(seen?.events[0]).toMatchObject({
      type: "failure",
      reason: "MACHINE_MISSING",
      status: MachineState.DESTROYED,
    });
    expect((await api.user.create({ name: "missing" })).machine?.name).toBe("missing");
  });

  test("repairs nothing while the host has events to deliver, or is another", async () => {
    await api.user.create();
    const host = world.host(1);
    host.machines.clear();
    host.outboxSequence = 5n;

    await sweep();
    const states = await world.sql("select state from machines");
    host.outboxSequence = 0n;

    expect(states).toEqual([{ state: "created" }]);
  });

  test("catches up with what events have missed", async () => {
    const { machine } = await api.user.create();
    world.host(1).change(machine?.id ?? "", { state: MachineState.STARTED });

    await sweep();

    expect(await world.sql("select state from machines")).toEqual([{ state: "started" }]);
  });

  test("destroys a machine that the database has as destroyed", async () => {
    const { machine } = await api.user.create();
    const host = world.host(1);
    host.machines.set(machine?.id ?? "", { ...(machine as Machine), createTime: old });
    await world.sql("update machines set state = 'destroyed'");

    await sweep();

    expect(host.machines.size).toBe(0);
  });

  test("leaves creates alone that are under way", async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    world.host(1).before("prepareMachine", async () => {
      entered.resolve();
      await leave.promise;
    });
    const creating = api.user.create();
    await entered.promise;

    await sweep();
    leave.resolve();

    expect((await creating).machine?.state).toBe(MachineState.CREATED);
  });
});
