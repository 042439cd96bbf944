import { ulid } from "ulid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostEvent } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Machine,
  MachineConfig,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

let world: World;
let api: TestApi;
let sequence = 0n;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  // A test may have restarted it.
  await expect
    .poll(async () => (await faultOf(api.user.start("00001abcdef123"))).reason)
    .toBe("MACHINE_NOT_FOUND");
  await world.clear();
  await world.sql("update hosts set applied_sequence = 0");
  sequence = 0n;
});

async function created(): Promise<Machine> {
  const { machine } = await api.user.create();
  if (!machine) throw new Error("no machine");
  return machine;
}

/** Reports changes as the machine's host does. */
async function report(changes: readonly { machine: Machine; event?: MachineEvent }[]): Promise<void> {
  const { reports } = api.internal;
  const host = world.host(1);
  const events = changes.map(({ machine, event }) => {
    sequence += 1n;
    return HostEvent.fromPartial({ sequence, machine, ...(event ? { event } : {}) });
  });
  const request = { hostNumber: host.number, identity: host.identity, events };
  await call(reports, reports.reportEvents, request, LIMIT);
}

function happened(type: string, id = ulid()): MachineEvent {
  return MachineEvent.fromPartial({
    id,
    type,
    status: MachineState.STARTED,
    source: "hostd",
    time: new Date(),
  });
}

function listEvents(
  machineId: string,
  page: { pageSize?: number; pageToken?: string } = {},
  from = api.user,
) {
  const request = { machineId, pageSize: 0, pageToken: "", ...page };
  return call(from.machines, from.machines.listMachineEvents, request, LIMIT);
}

function listVersions(machineId: string, page: { pageSize?: number; pageToken?: string } = {}) {
  const request = { machineId, pageSize: 0, pageToken: "", ...page };
  return call(api.user.machines, api.user.machines.listMachineVersions, request, LIMIT);
}

describe("the events of a machine", () => {
  test("are listed newest first, by pages, each once, also those that its host has not reported yet", async () => {
    const machine = await created();
    const ids = Array.from({ length: 30 }, (_, i) => ulid(1_000 + i));
    const stored = ids.slice(0, 25).map((id, i) => ({
      machine: { ...machine, generation: machine.generation + BigInt(i + 1) },
      event: happened("start", id),
    }));
    await report(stored);
    const told = ids.slice(10).map((id) => happened("start", id));
    world.host(1).change(machine.id, { events: told.reverse() });

    const pages = [await listEvents(machine.id, { pageSize: 7 })];
    for (let token = pages[0]?.nextPageToken; token; token = pages.at(-1)?.nextPageToken)
      pages.push(await listEvents(machine.id, { pageSize: 7, pageToken: token }));

    expect(pages.flatMap(({ events }) => events.map(({ id }) => id))).toEqual([...ids].reverse());
    expect(pages).toHaveLength(5);
  });

  test("have the event of an action that has just been answered", async () => {
    const machine = await created();

    const started = await api.user.start(machine.id);

    const { events } = await listEvents(machine.id);
    expect(events[0]).toEqual(started.machine?.events[0]);
    expect(await world.sql("select 1 from machine_events where machine_id = $1", [machine.id])).toEqual([]);
  });

  test("come from the database while the host is away", async () => {
    const machine = await created();
    const event = happened("start");
    await report([{ machine: { ...machine, generation: machine.generation + 1n }, event }]);
    await world.host(1).stop();

    const { events } = await listEvents(machine.id).finally(() => world.host(1).start());

    expect(events.map(({ id }) => id)).toContain(event.id);
  });

  test("are told to nobody else, and not of a machine that there is not", async () => {
    const machine = await created();
    const stranger = await api.as("other", ["machines:read"]);

    expect(await faultOf(listEvents(machine.id, {}, stranger))).toMatchObject({
      reason: "MACHINE_NOT_FOUND",
    });
    expect(await faultOf(listEvents("00001abcdef123"))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(listEvents("x"))).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(await faultOf(listEvents(machine.id, { pageToken: "bm8" }))).toMatchObject({
      reason: "INVALID_FIELDS",
    });
    stranger.close();
  });
});

describe("the versions of a machine", () => {
  const version = (machine: Machine, image: string, at: number): Machine => ({
    ...machine,
    generation: machine.generation + BigInt(at),
    instanceId: ulid(2_000_000_000_000 + at),
    config: MachineConfig.fromPartial({ ...machine.config, image }),
  });

  test("are listed newest first, also those that were replaced before they were reported", async () => {
    const machine = await created();
    const versions = ["nginx:1", "nginx:2", "nginx:3"].map((image, i) => version(machine, image, i + 1));
    await report([{ machine }, ...versions.map((each) => ({ machine: each }))]);
    const newest = version(machine, "nginx:4", 4);
    world.host(1).change(machine.id, newest);

    const all = await listVersions(machine.id);
    const first = await listVersions(machine.id, { pageSize: 2 });
    const second = await listVersions(machine.id, { pageSize: 2, pageToken: first.nextPageToken });

    expect(all.versions.map(({ config }) => config?.image)).toEqual([
      "nginx:4",
      "nginx:3",
      "nginx:2",
      "nginx:1",
      "nginx",
    ]);
    expect(all.versions.map(({ instanceId }) => instanceId)).toEqual(
      [newest, ...[...versions].reverse(), machine].map(({ instanceId }) => instanceId),
    );
    expect(all.versions[1]?.createTime).toEqual(new Date(2_000_000_000_003));
    expect([...first.versions, ...second.versions]).toEqual(all.versions.slice(0, 4));
  });

  test("are the one of its create at first, reported or not", async () => {
    const machine = await created();

    const { versions } = await listVersions(machine.id);

    expect(versions.map(({ instanceId }) => instanceId)).toEqual([machine.instanceId]);
    expect(versions[0]?.config?.image).toBe("nginx");
  });

  test("are the newest 100, and go with the machine", async () => {
    const machine = await created();
    await report(Array.from({ length: 90 }, (_, i) => ({ machine: version(machine, `nginx:${i}`, i + 1) })));
    await report(
      Array.from({ length: 40 }, (_, i) => ({ machine: version(machine, `nginx:${90 + i}`, 91 + i) })),
    );
    await report([{ machine: version(machine, "nginx:last", 200) }]);
    const count = async () =>
      (await world.sql<{ n: number }>("select count(*)::int as n from machine_versions"))[0]?.n;

    const kept = await count();
    await world.sql("delete from machines");

    expect(kept).toBe(101);
    expect(await count()).toBe(0);
  });

  test("have the metadata of the last report, without a version of their own", async () => {
    const machine = await created();
    const config = MachineConfig.fromPartial({ ...machine.config, metadata: new Map([["role", "db"]]) });
    await report([{ machine }, { machine: { ...machine, generation: machine.generation + 1n, config } }]);

    const rows = await world.sql<{ metadata: unknown }>(
      "select config -> 'metadata' as metadata from machine_versions",
    );

    expect(rows).toEqual([{ metadata: { role: "db" } }]);
  });
});
