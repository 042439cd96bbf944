import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ulid } from "../../src/api/domain/ulid.ts";
import { AnnounceHostRequest, HostEvent } from "../../src/gen/windhover/admin/v1/hosts.ts";
import {
  HostStatus,
  type Machine,
  MachineEvent,
  MachineState,
} from "../../src/gen/windhover/machines/v1/machine.ts";
import { call } from "../../src/lib/client.ts";
import { Fault } from "../../src/lib/fault.ts";
import { faultOf, type TestApi, World } from "./api-fixture.ts";

const LIMIT = { timeoutMs: 10_000 };
const SOON = { timeout: 10_000 };

let world: World;
let api: TestApi;
let other: TestApi;

beforeAll(async () => {
  world = await World.open();
  api = await world.api();
  other = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("update hosts set applied_sequence = 0");
});

function report(events: readonly HostEvent[], from = api, host = world.host(1)) {
  const { reports } = from.internal;
  const request = { hostNumber: host.number, identity: host.identity, events: [...events] };
  return call(reports, reports.reportEvents, request, LIMIT);
}

function event(sequence: bigint, machine: Machine, type = "start"): HostEvent {
  const happened = MachineEvent.fromPartial({
    id: ulid(Number(sequence) + 1),
    type,
    status: machine.state,
    source: "hostd",
  });
  return HostEvent.fromPartial({ sequence, machine, event: happened });
}

describe("events of a host", () => {
  let machine: Machine;

  beforeEach(async () => {
    const created = (await api.user.create()).machine;
    if (!created) throw new Error("no machine");
    machine = created;
  });

  const at = (generation: bigint, state: MachineState): Machine => ({ ...machine, generation, state });
  const row = async () => (await world.sql("select state, generation from machines"))[0];
  const eventCount = async () => (await world.sql("select 1 from machine_events")).length;

  test("bring the record up to date", async () => {
    const answer = await report([
      event(1n, at(10n, MachineState.STARTED)),
      event(2n, at(11n, MachineState.STOPPED), "exit"),
    ]);

    expect(answer.appliedSequence).toBe(2n);
    expect(await row()).toEqual({ state: "stopped", generation: "11" });
    expect(await eventCount()).toBe(2);
  });

  test("count once, however often they are sent, to whichever api", async () => {
    const events = [1n, 2n, 3n].map((n) => event(n, at(10n + n, MachineState.STARTED)));

    const answers = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((i) => report(events, i % 2 === 0 ? api : other)),
    );

    expect(answers.map((answer) => answer.appliedSequence)).toEqual([3n, 3n, 3n, 3n, 3n, 3n]);
    expect(await eventCount()).toBe(3);
    expect((await report([event(2n, at(99n, MachineState.FAILED))])).appliedSequence).toBe(3n);
    expect(await row()).toEqual({ state: "started", generation: "13" });
  });

  test("may overlap with what was sent before", async () => {
    await report([event(1n, at(10n, MachineState.STARTED))]);

    await report([event(1n, at(10n, MachineState.STARTED)), event(2n, at(11n, MachineState.STOPPED))]);

    expect(await row()).toEqual({ state: "stopped", generation: "11" });
  });

  test("with one missing between are refused, and the host is told where to go on", async () => {
    await report([event(1n, at(10n, MachineState.STARTED))]);

    const fault = await faultOf(report([event(3n, at(12n, MachineState.STOPPED))]));

    expect(fault).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "SEQUENCE_GAP",
      facts: { applied: "1" },
    });
    expect(await row()).toEqual({ state: "started", generation: "10" });
  });

  test("may begin anywhere when none of that host is known", async () => {
    expect((await report([event(500n, at(10n, MachineState.STARTED))])).appliedSequence).toBe(500n);
  });

  test("never take a machine back to an older generation", async () => {
    await report([event(1n, at(20n, MachineState.STARTED)), event(2n, at(15n, MachineState.STOPPED))]);

    expect(await row()).toEqual({ state: "started", generation: "20" });
  });

  test("never bring a destroyed machine back", async () => {
    await report([event(1n, at(20n, MachineState.DESTROYED))]);
    await report([event(2n, at(21n, MachineState.STARTED))]);

    expect(await row()).toEqual({ state: "destroyed", generation: "20" });
  });

  test("of machines that nobody knows are acknowledged and dropped", async () => {
    const unknown = { ...machine, id: "00001ffffffff0" };

    expect((await report([event(1n, unknown)])).appliedSequence).toBe(1n);
    expect(await eventCount()).toBe(0);
  });

  test("survive text that the database cannot hold", async () => {
    const odd = event(1n, at(10n, MachineState.FAILED));
    const message = "not\u0000allowed";

    await report([{ ...odd, event: MachineEvent.fromPartial({ ...odd.event, message }) }]);

    expect(await eventCount()).toBe(1);
  });

  test.each([
    ["of another host", (e: HostEvent) => [{ ...e, machine: { ...machine, id: "00002000000000" } }]],
    ["out of order", (e: HostEvent) => [{ ...e, sequence: 2n }, e]],
    ["without a machine", (e: HostEvent) => [{ ...e, machine: undefined }]],
    ["from zero", (e: HostEvent) => [{ ...e, sequence: 0n }]],
  ])("%s are refused", async (_, make) => {
    expect(await faultOf(report(make(event(1n, machine))))).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  test("of another identity are refused", async () => {
    const { reports } = api.internal;
    const request = { hostNumber: 1, identity: "impostor", events: [event(1n, machine)] };

    expect(await faultOf(call(reports, reports.reportEvents, request, LIMIT))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "HOST_NUMBER_TAKEN",
    });
  });

  test("are for services only", async () => {
    const { reports } = api.admin;
    const request = { hostNumber: 1, identity: "x", events: [] };

    expect(await faultOf(call(reports, reports.reportEvents, request, LIMIT))).toMatchObject({
      reason: "SCOPE_MISSING",
    });
  });
});

describe("announcements", () => {
  const say = (client: TestApi, change: Partial<AnnounceHostRequest>) => {
    const { reports } = client.internal;
    const request = AnnounceHostRequest.fromPartial({
      number: 40,
      identity: "a",
      name: "forty",
      region: "ord",
      address: "127.0.0.1:9",
      ...change,
    });
    return call(reports, reports.announceHost, request, LIMIT);
  };

  test("are recorded, and the other api learns of them", async () => {
    expect((await say(api, { number: 41, name: "new" })).recorded).toBe(true);

    await expect
      .poll(async () => (await faultOf(other.user.start("00029000000000"))).reason, { timeout: 10_000 })
      .toBe("HOST_UNREACHABLE");
  });

  test("claim a number for the first identity, wherever it announced itself", async () => {
    await say(api, { number: 42, identity: "first" });

    expect(await faultOf(say(api, { number: 42, identity: "second" }))).toMatchObject({
      reason: "HOST_NUMBER_TAKEN",
    });
    expect(await faultOf(say(other, { number: 42, identity: "second" }))).toMatchObject({
      reason: "HOST_NUMBER_TAKEN",
    });
    // The loser left nothing behind: the first is known there now.
    expect((await say(other, { number: 42, identity: "first" })).recorded).toBe(true);
  });

  test.each([
    [{ number: -1 }, "number"],
    [{ number: 1_048_576 }, "number"],
    [{ identity: "" }, "identity"],
    [{ name: "", region: "", address: "" }, "name,region,address"],
  ])("%j are refused", async (change, fields) => {
    expect(await faultOf(say(api, change))).toMatchObject({ reason: "INVALID_FIELDS", facts: { fields } });
  });
});

describe("a host that has not announced itself", () => {
  test("is known to every api once it has been given a machine", async () => {
    const stranger = await world.addHost(5);
    world.scheduler.hosts.reverse();

    const id = (await api.user.create()).machine?.id ?? "";
    const here = await api.user.start(id);
    const there = await other.user.start(id);

    expect(id).toMatch(/^00005/);
    expect([here.alreadyStarted, there.alreadyStarted]).toEqual([false, true]);
    world.scheduler.hosts.reverse();
    world.scheduler.hosts.splice(world.scheduler.hosts.indexOf(stranger), 1);
  });
});

describe("a host that is down", () => {
  /** What a list says of a machine's host; nobody is asked for it. */
  const listedStatus = async ({ user }: TestApi, id: string) => {
    const request = { app: "", states: [], pageSize: 0, pageToken: "" };
    const { machines } = await call(user.machines, user.machines.listMachines, request, LIMIT);
    return machines.find((machine) => machine.id === id)?.hostStatus;
  };

  test("does not make other hosts' machines look unreachable in a list", async () => {
    const id = (await api.user.create()).machine?.id ?? "";

    expect(await listedStatus(api, id)).toBe(HostStatus.UNKNOWN);
  });

  test("has its machines shown from the record, and not started", async () => {
    const third = await world.addHost(3);
    await api.announce(third);
    world.scheduler.hosts.reverse();
    const id = (await api.user.create()).machine?.id ?? "";
    world.scheduler.hosts.reverse();
    await third.stop();

    const machine = await api.user.get(id);
    const fault = await faultOf(api.user.start(id));

    expect(machine).toMatchObject({ id, state: MachineState.CREATED, hostStatus: HostStatus.UNREACHABLE });
    expect(fault).toMatchObject({
      code: "UNAVAILABLE",
      reason: "HOST_UNREACHABLE",
      facts: { host: "host-3" },
    });
    expect(fault.retryAfterMs).toBe(1_000);
    await expect.poll(() => listedStatus(api, id), SOON).toBe(HostStatus.UNREACHABLE);
    await expect.poll(() => listedStatus(other, id), SOON).toBe(HostStatus.UNREACHABLE);
    await third.start();
    await expect.poll(async () => (await api.user.get(id))?.hostStatus, SOON).toBe(HostStatus.OK);
    await expect.poll(() => listedStatus(api, id), SOON).toBe(HostStatus.UNKNOWN);
    world.scheduler.hosts.splice(world.scheduler.hosts.indexOf(third), 1);
  });
});

describe("listing hosts", () => {
  const list = async (region = "") =>
    (await call(api.admin.hosts, api.admin.hosts.listHosts, { region }, LIMIT)).hosts;

  test("tells those attached from those that are not", async () => {
    const { reports } = api.internal;
    const gone = { number: 77, identity: "g", name: "gone", region: "ord", address: "127.0.0.1:9" };
    await call(reports, reports.announceHost, AnnounceHostRequest.fromPartial(gone), LIMIT);

    const hosts = await list();

    expect(hosts.find((host) => host.number === 1)).toMatchObject({
      name: "host-1",
      attached: true,
      allocated: { cpus: 1 },
      machines: { started: 1 },
      statusMessage: "",
    });
    expect(hosts.find((host) => host.number === 77)).toMatchObject({ name: "gone", attached: false });
    expect(hosts.find((host) => host.number === 77)?.statusMessage).toMatch(
      /^not attached: no word for \d+ s$/,
    );
    expect(await list("fra")).toEqual([]);
    expect(
      await faultOf(call(api.user.hosts, api.user.hosts.listHosts, { region: "" }, LIMIT)),
    ).toMatchObject({
      reason: "SCOPE_MISSING",
    });
  });

  test("works without the scheduler and says so", async () => {
    world.scheduler.before("listHosts", () => {
      throw new Fault("UNAVAILABLE", "SERVER_DRAINING", "bye");
    });

    const host = (await list()).find((each) => each.number === 1);

    expect(host).toMatchObject({ name: "host-1", attached: false, capacity: { cpus: 8 } });
    expect(host?.statusMessage).toContain("the scheduler did not answer");
  });
});
