import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostStatus, MachineEvent, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import type { CreateInput } from "../clients.ts";
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
beforeEach(() => world.clear());

async function create(input: CreateInput = {}): Promise<string> {
  const { machine } = await api.user.create(input);
  if (!machine) throw new Error("no machine");
  return machine.id;
}

function list(request: Partial<ListMachinesRequest> = {}) {
  const { machines } = api.user;
  return call(machines, machines.listMachines, { ...ListMachinesRequest.create(), ...request }, LIMIT);
}

/** Lists until every host answers within the quarter of a second that a fresh list waits for it. */
async function listFresh(request: Partial<ListMachinesRequest> = {}) {
  let listed = await list({ ...request, fresh: true });
  while (listed.unansweredRegions.length > 0) {
    for (const host of world.scheduler.hosts) host.calls.length = 0;
    listed = await list({ ...request, fresh: true });
  }
  return listed;
}

async function idsOf(request: Partial<ListMachinesRequest>) {
  return (await list(request)).machines.map(({ id }) => id);
}

describe("a list of machines", () => {
  test("has those of a region, with all entries of metadata, or changed after a time", async () => {
    const [db, web] = [
      await create({ config: { metadata: { role: "db", tier: "a" } } }),
      await create({ config: { metadata: { role: "web", tier: "a" } } }),
    ];
    await world.sql(
      "update machines set region = 'gru', update_time = now() + interval '1 hour' where id = $1",
      [web],
    );
    const soon = new Date(Date.now() + 60_000);

    expect(await idsOf({ app: "web", regions: ["gru", "ams"] })).toEqual([web]);
    expect(await idsOf({ regions: ["ord"] })).toEqual([db]);
    expect(await idsOf({ metadata: new Map([["tier", "a"]]) })).toEqual([db, web]);
    expect(
      await idsOf({
        metadata: new Map([
          ["tier", "a"],
          ["role", "db"],
        ]),
      }),
    ).toEqual([db]);
    expect(await idsOf({ metadata: new Map([["role", "a"]]) })).toEqual([]);
    expect(await idsOf({ updatedAfter: soon })).toEqual([web]);
    expect(await idsOf({ updatedAfter: new Date(0) })).toEqual([db, web]);
  });

  test("is in the order of updates when asked, by pages", async () => {
    const ids = [await create(), await create(), await create()];
    await world.sql("update machines set update_time = now() + interval '1 hour' where id = $1", [ids[0]]);
    const request = { orderBy: "update_time", pageSize: 2 };

    const first = await list(request);
    const second = await list({ ...request, pageToken: first.nextPageToken });

    expect([...first.machines, ...second.machines].map(({ id }) => id)).toEqual([ids[1], ids[2], ids[0]]);
    expect(second.nextPageToken).toBe("");
  });

  test("goes on with the filters that it was begun with only", async () => {
    await create();
    await create();
    const { nextPageToken: pageToken } = await list({ pageSize: 1 });
    const others: Partial<ListMachinesRequest>[] = [
      { regions: ["ord"] },
      { metadata: new Map([["a", "b"]]) },
      { updatedAfter: new Date(1_000) },
      { orderBy: "update_time" },
      { app: "web" },
      { states: [MachineState.CREATED] },
    ];

    for (const other of others) {
      expect(await faultOf(list({ ...other, pageToken }))).toMatchObject({
        reason: "INVALID_FIELDS",
        facts: { fields: "page_token" },
      });
    }
    expect((await list({ pageToken, full: true, fresh: true })).machines).toHaveLength(1);
  });

  test("names every field that is wrong", async () => {
    const metadata = new Map(Array.from({ length: 65 }, (_, i) => [`${i}`, ""]));

    const fault = await faultOf(list({ app: "-", regions: ["a\0"], orderBy: "name", metadata }));

    const odd = await faultOf(list({ metadata: new Map([["role\0", "db"]]) }));

    expect(odd.facts["fields"]).toBe("metadata");
    expect(fault.facts["fields"]?.split(",").sort()).toEqual(["app", "metadata", "order_by", "regions"]);
  });

  test("has variables, program and all events only when it is to be full", async () => {
    const id = await create({ config: { env: { SECRET: "s" } } });
    for (const event of ["01", "02"]) {
      await world.sql("insert into machine_events values ($1, $2, $3)", [
        id,
        event,
        JSON.stringify({
          id: event,
          type: "start",
          status: "started",
          source: "user",
          timeMs: 1,
          message: "",
          reason: "",
        }),
      ]);
    }

    const [brief, full] = [await list(), await list({ full: true })];

    expect(brief.machines[0]?.config?.env.size).toBe(0);
    expect(brief.machines[0]?.events.map(({ id: event }) => event)).toEqual(["02"]);
    expect(full.machines[0]?.config?.env).toEqual(new Map([["SECRET", "s"]]));
    expect(full.machines[0]?.events.map(({ id: event }) => event)).toEqual(["02", "01"]);
  });

  test("has destroyed machines when they are asked for", async () => {
    const [kept, gone] = [await create(), await create()];
    await world.sql(
      `update machines set state = 'destroyed', snapshot = snapshot || '{"state":"destroyed"}' where id = $1`,
      [gone],
    );

    expect(await idsOf({})).toEqual([kept]);
    expect(await idsOf({ states: [MachineState.DESTROYED] })).toEqual([gone]);
    expect(await idsOf({ states: [MachineState.DESTROYED, MachineState.CREATED], fresh: true })).toEqual([
      kept,
      gone,
    ]);
  });
});

describe("a fresh list", () => {
  test("tells what hosts tell, also what they have not reported, with one call for each", async () => {
    const ids = [await create(), await create()];
    const event = MachineEvent.fromPartial({ id: "01", type: "start", status: MachineState.STARTED });
    world.host(1).change(ids[0] ?? "", { state: MachineState.STARTED, events: [event] });
    world.host(1).calls.length = 0;

    const stale = await list();
    const fresh = await listFresh();

    expect(stale.machines.map(({ state }) => state)).toEqual([MachineState.CREATED, MachineState.CREATED]);
    expect(stale.machines[0]?.hostStatus).toBe(HostStatus.UNKNOWN);
    expect(fresh.machines.map(({ state }) => state)).toEqual([MachineState.STARTED, MachineState.CREATED]);
    expect(fresh.machines[0]?.events[0]?.id).toBe("01");
    expect(fresh.machines[0]?.config?.image).toBe("nginx");
    expect(fresh.machines.map(({ hostStatus }) => hostStatus)).toEqual([HostStatus.OK, HostStatus.OK]);
    expect(fresh.unansweredRegions).toEqual([]);
    expect(world.host(1).calls).toEqual(["getMachines"]);
  });

  test("has machines in the states asked for as their hosts tell them", async () => {
    const [started, created] = [await create(), await create()];
    world.host(1).change(started, { state: MachineState.STARTED });

    const freshIds = async (request: Partial<ListMachinesRequest>) =>
      (await listFresh(request)).machines.map(({ id }) => id);
    expect(await freshIds({ states: [MachineState.STARTED] })).toEqual([started]);
    expect(await freshIds({ states: [MachineState.CREATED] })).toEqual([created]);
    expect(await freshIds({ states: [MachineState.CREATED], pageSize: 1 })).toEqual([created]);
  });

  test("names the regions of hosts that do not answer in time, and has their machines as stored", async () => {
    const id = await create();
    world.host(1).change(id, { state: MachineState.STARTED });
    const silence = Promise.withResolvers<void>();
    world.host(1).before("getMachines", () => silence.promise);

    const { machines, unansweredRegions } = await list({ fresh: true, states: [MachineState.CREATED] });
    silence.resolve();

    expect(unansweredRegions).toEqual(["ord"]);
    expect(machines.map(({ id: each }) => each)).toEqual([id]);
    expect(machines[0]?.hostStatus).not.toBe(HostStatus.OK);
  });
});
