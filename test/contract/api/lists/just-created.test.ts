import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HostStatus, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import {
  ListMachinesRequest,
  WaitMachineRequest,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { Clients } from "../clients.ts";
import { startApi, type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());

type Ask = (clients: Clients, machineId: string) => Promise<unknown>;

const ASKS: readonly (readonly [string, Ask])[] = [
  ["read", ({ get }, id) => get(id)],
  ["started", ({ start }, id) => start(id)],
  [
    "waited for",
    ({ machines }, machineId) => {
      const request = WaitMachineRequest.fromPartial({ machineId, states: [MachineState.CREATED] });
      return call(machines, machines.waitMachine, request, LIMIT);
    },
  ],
  [
    "asked for its events",
    ({ machines }, machineId) =>
      call(machines, machines.listMachineEvents, { machineId, pageSize: 0, pageToken: "" }, LIMIT),
  ],
];

describe("a machine that was just created", () => {
  test.each(ASKS)("is %s through an api that has not heard of its host", async (_, ask) => {
    const fresh = await world.api({ knowsHosts: false });
    // It does not exist before the create.
    const host = await world.addHost(world.scheduler.hosts.length + 1);
    world.scheduler.hosts.sort((a, b) => b.number - a.number);
    const id = (await api.user.create()).machine?.id ?? "";

    const answers = Promise.all([ask(fresh.user, id), ask(fresh.user, id)]);

    await expect(answers).resolves.toHaveLength(2);
    expect([...host.machines.keys()]).toEqual([id]);
    await fresh.close();
  });

  test("is listed by another api", async () => {
    const other = await world.api();
    const id = (await api.user.create()).machine?.id ?? "";
    const { machines } = other.user;

    const { machines: listed } = await call(
      machines,
      machines.listMachines,
      ListMachinesRequest.create(),
      LIMIT,
    );

    expect(listed.map((machine) => machine.id)).toContain(id);
    await other.close();
  });

  test.each(ASKS)("is not said to be missing when it is %s while nobody can tell", async (_, ask) => {
    const id = (await api.user.create()).machine?.id ?? "";
    const blind = await startApi(world, { databaseUrl: "postgres:///none?host=/nonexistent" });

    const fault = await faultOf(ask(blind.user, id));

    expect(fault).toMatchObject({ code: "UNAVAILABLE", reason: "HOST_UNREACHABLE" });
    await blind.close();
  });

  test("is told from the database when its host answers late", async () => {
    const { machine } = await api.user.create();
    const id = machine?.id ?? "";
    const silence = Promise.withResolvers<void>();
    for (const host of world.scheduler.hosts) host.before("getMachine", () => silence.promise);
    const { machines } = api.user;

    const found = await call(machines, machines.getMachine, { machineId: id }, { timeoutMs: 4_000 });
    silence.resolve();
    for (const host of world.scheduler.hosts) host.clear();

    expect(found.machine).toMatchObject({ id, hostStatus: HostStatus.UNREACHABLE });
  });
});

describe("what a call has changed, before a host has reported anything,", () => {
  test("is in a list by metadata", async () => {
    const { machines } = api.user;
    const machineId = (await api.user.create()).machine?.id ?? "";
    const metadata = new Map([["role", "db"]]);
    const change = {
      machineId,
      set: metadata,
      remove: [],
      replace: false,
      currentVersion: "",
      leaseNonce: "",
    };

    await call(machines, machines.updateMetadata, change, LIMIT);

    const request = { ...ListMachinesRequest.create(), metadata };
    const { machines: listed } = await call(machines, machines.listMachines, request, LIMIT);
    expect(listed.map(({ id }) => id)).toEqual([machineId]);
  });

  test("gives back the name of a machine that is destroyed", async () => {
    const { machines } = api.user;
    const create = async () => (await api.user.create({ name: "only" })).machine?.id ?? "";
    const machineId = await create();

    await call(machines, machines.destroyMachine, { machineId, force: false, leaseNonce: "" }, LIMIT);

    expect(await create()).not.toBe(machineId);
  });
});
