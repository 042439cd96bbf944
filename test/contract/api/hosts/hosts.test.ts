import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AnnounceHostRequest } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import { HostStatus, MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../../src/lib/faults/fault.ts";
import { call } from "../../../../src/lib/grpc/client.ts";

import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";

const LIMIT = { timeoutMs: 20_000 };

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

  test("are stored, and the other api learns of them", async () => {
    expect((await say(api, { number: 41, name: "new" })).recorded).toBe(true);

    await expect
      .poll(async () => (await faultOf(other.user.start("00029000000000"))).reason)
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
    const request = ListMachinesRequest.create();
    const { machines } = await call(user.machines, user.machines.listMachines, request, LIMIT);
    return machines.find((machine) => machine.id === id)?.hostStatus;
  };

  test("does not make other hosts' machines look unreachable in a list", async () => {
    const id = (await api.user.create()).machine?.id ?? "";

    expect(await listedStatus(api, id)).toBe(HostStatus.UNKNOWN);
  });

  test("has its machines shown from the database, and not started", async () => {
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
    await expect.poll(() => listedStatus(api, id)).toBe(HostStatus.UNREACHABLE);
    await expect.poll(() => listedStatus(other, id)).toBe(HostStatus.UNREACHABLE);
    await third.start();
    await expect.poll(async () => (await api.user.get(id))?.hostStatus).toBe(HostStatus.OK);
    await expect.poll(() => listedStatus(api, id)).toBe(HostStatus.UNKNOWN);
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
      machines: new Map([["started", 1]]),
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
