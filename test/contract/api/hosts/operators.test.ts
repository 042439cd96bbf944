import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DrainHostResponse } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { type Machine, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { Scheduling } from "../../../../src/gen/windhover/scheduler/v1/host.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { openStream } from "../../../../src/lib/grpc/calls/streams.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  for (const host of world.scheduler.hosts) host.scheduling = Scheduling.OPEN;
});

const set = (host: string, scheduling: Scheduling, as = api.admin) =>
  call(as.hosts, as.hosts.setHostScheduling, { host, scheduling }, LIMIT);

async function drain(host: string): Promise<DrainHostResponse[]> {
  const { hosts } = api.admin;
  const told: DrainHostResponse[] = [];
  for await (const one of openStream(hosts, hosts.drainHost, { host }, LIMIT)) told.push(one);
  return told;
}

async function started(): Promise<Machine> {
  const { machine } = await api.user.create({ skipLaunch: false });
  if (!machine) throw new Error("no machine");
  return machine;
}

describe("SetHostScheduling", () => {
  test("is passed on to the host, by number or by name, and tells what it was", async () => {
    expect(await set("1", Scheduling.CORDONED)).toEqual({ hostNumber: 1, previous: Scheduling.OPEN });
    expect(world.host(1).scheduling).toBe(Scheduling.CORDONED);

    expect(await set(world.host(1).name, Scheduling.OPEN)).toEqual({
      hostNumber: 1,
      previous: Scheduling.CORDONED,
    });
    expect(world.host(1).scheduling).toBe(Scheduling.OPEN);
  });

  test("says what is wrong: host, word, right", async () => {
    expect(await faultOf(set("77", Scheduling.OPEN))).toMatchObject({
      code: "NOT_FOUND",
      reason: "HOST_UNKNOWN",
    });
    expect(await faultOf(set("1", Scheduling.DRAINING))).toMatchObject({
      reason: "INVALID_FIELDS",
      violations: [{ field: "scheduling" }],
    });
    expect(await faultOf(set("", Scheduling.OPEN))).toMatchObject({ violations: [{ field: "host" }] });
    expect(await faultOf(set("1", Scheduling.OPEN, api.user))).toMatchObject({ reason: "SCOPE_MISSING" });
  });
});

describe("DrainHost", () => {
  test("first keeps starts away, then stops what runs and tells of each, and stops nothing twice", async () => {
    const machines = [await started(), await started(), await started()];
    const idle = await api.user.create({ skipLaunch: true });
    const host = world.host(1);

    const told = await drain("1");

    expect(host.scheduling).toBe(Scheduling.DRAINING);
    expect(host.calls.filter((one) => one === "stopMachine")).toHaveLength(3);
    expect(host.calls.indexOf("setScheduling")).toBeLessThan(host.calls.indexOf("listMachines"));
    expect(told[0]).toEqual(DrainHostResponse.fromPartial({ hostNumber: 1, total: 3 }));
    expect(told.slice(1).map((one) => one.done)).toEqual([1, 2, 3]);
    expect(new Set(told.slice(1).map((one) => one.machineId))).toEqual(new Set(machines.map(({ id }) => id)));
    expect(told.slice(1).every((one) => one.state === MachineState.STOPPED && one.problem === "")).toBe(true);
    expect(world.host(1).machines.get(idle.machine?.id ?? "")?.state).toBe(MachineState.CREATED);

    expect(await drain("1")).toEqual([DrainHostResponse.fromPartial({ hostNumber: 1 })]);
  });

  test.each([MachineState.RESTARTING, MachineState.UPDATING])(
    "stops a machine in state %d, which would run again",
    async (state) => {
      const { id } = await started();
      world.host(1).change(id, { state });

      expect((await drain("1")).at(-1)).toMatchObject({ machineId: id, done: 1, total: 1 });
      expect(world.host(1).calls).toContain("stopMachine");
    },
  );

  test("goes on past a machine that cannot be stopped, and says why", async () => {
    await started();
    await started();
    world.host(1).before("stopMachine", () => {
      throw new Fault("INTERNAL", "STOP_FAILED", "it hangs");
    });

    const told = await drain("1");

    expect(told.map((one) => one.problem).filter((problem) => problem !== "")).toEqual(["it hangs"]);
    expect(told.at(-1)).toMatchObject({ done: 2, total: 2 });
  });
});

describe("ListReservations", () => {
  const list = (request: { region?: string; pageSize?: number; pageToken?: string }, as = api.admin) => {
    const { reservations } = as;
    const whole = { region: "", pageSize: 0, pageToken: "", ...request };
    return call(reservations, reservations.listReservations, whole, LIMIT);
  };

  test("shows what the scheduler of the region has", async () => {
    world.scheduler.reservations.set("r1", { claimant: "saga", offers: [] });

    expect(await list({})).toMatchObject({ reservations: [{ id: "r1", claimant: "saga" }], total: 1 });
  });

  test("knows its regions and its bounds", async () => {
    expect(await faultOf(list({ region: "xyz" }))).toMatchObject({
      reason: "REGION_UNKNOWN",
      facts: { known: "ord" },
    });
    expect(await faultOf(list({ pageSize: 1_001 }))).toMatchObject({ violations: [{ field: "page_size" }] });
    expect(await faultOf(list({}, api.user))).toMatchObject({ reason: "SCOPE_MISSING" });
  });
});
