import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostStatus, MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { ListMachinesRequest } from "../../../src/gen/windhover/machines/v1/machines.ts";
import { Fault } from "../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../src/lib/grpc/client.ts";

import { faultOf } from "../../support/fault-of.ts";
import { NOTHING_LEFT, type TestApi, World } from "./fixture.ts";

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
  // A test may have restarted it.
  const reason = async () => (await faultOf(api.user.start("00001abcdef123"))).reason;
  await expect.poll(reason).toBe("MACHINE_NOT_FOUND");
  for (const host of world.scheduler.hosts) host.calls.length = 0;
  world.scheduler.calls.length = 0;
});

describe("a machine that exists", () => {
  let id: string;

  beforeEach(async () => {
    id = (await api.user.create()).machine?.id ?? "";
  });

  test("is started, and starting it again says so", async () => {
    const first = await api.user.start(id);
    const second = await api.user.start(id);

    expect(first).toMatchObject({
      alreadyStarted: false,
      previousState: MachineState.CREATED,
      startPath: "warm",
    });
    expect(first.machine?.state).toBe(MachineState.STARTED);
    expect(second.alreadyStarted).toBe(true);
  });

  test("is seen as its host sees it", async () => {
    await api.user.start(id);

    const machine = await api.user.get(id);

    expect(machine).toMatchObject({ id, state: MachineState.STARTED, hostStatus: HostStatus.OK });
    expect(machine?.events[0]?.type).toBe("start");
  });

  test("is waited for", async () => {
    await api.user.start(id);
    const { machines } = api.user;
    const wait = (states: MachineState[]) =>
      call(
        machines,
        machines.waitMachine,
        {
          instanceId: "",
          afterEventId: "",
          settled: false,
          acrossCalls: false,
          ready: false,
          machineId: id,
          states,
          timeout: undefined,
        },
        LIMIT,
      );

    expect((await wait([])).machine?.state).toBe(MachineState.STARTED);
    expect(await faultOf(wait([MachineState.CREATED]))).toMatchObject({ reason: "STATE_UNREACHABLE" });
    expect(await faultOf(wait([0]))).toMatchObject({ reason: "INVALID_FIELDS" });
  });

  test("streams its logs, and following ends with the client", async () => {
    const { machines } = api.user;
    const request = { machineId: id, follow: true, tail: undefined, since: undefined, afterSequence: 0n };
    const lines: string[] = [];

    for await (const { entries } of openStream(machines, machines.streamLogs, request, LIMIT)) {
      lines.push(...entries.map((entry) => entry.text));
      break;
    }

    expect(lines).toEqual(["hello"]);
  });

  test("leaves out lines from before a time, and tells how far it has read", async () => {
    const { machines } = api.user;
    const request = { machineId: id, follow: false, tail: undefined, afterSequence: 0n };
    const read = async (since: Date) =>
      (
        await Array.fromAsync(openStream(machines, machines.streamLogs, { ...request, since }, LIMIT))
      ).flatMap(({ entries, position }) => [position, ...entries.map(({ text }) => text)]);

    expect(await read(new Date(Date.now() - 60_000))).toEqual([1n, "hello"]);
    expect(await read(new Date(Date.now() + 60_000))).toEqual([1n]);
  });

  test("is not destroyed while it runs, unless forced, and destroying it again is fine", async () => {
    await api.user.start(id);
    const { machines } = api.user;
    const destroy = (force: boolean) =>
      call(machines, machines.destroyMachine, { leaseNonce: "", machineId: id, force }, LIMIT);

    expect(await faultOf(destroy(false))).toMatchObject({ reason: "MACHINE_RUNNING" });
    expect((await destroy(true)).machine?.state).toBe(MachineState.DESTROYED);

    await world.sql(
      "update machines set state = 'destroyed', snapshot = snapshot || '{\"state\":\"destroyed\"}' where id = $1",
      [id],
    );
    expect((await destroy(false)).machine?.state).toBe(MachineState.DESTROYED);
    expect((await api.user.get(id))?.state).toBe(MachineState.DESTROYED);
    expect(await faultOf(api.user.start(id))).toMatchObject({ reason: "INVALID_STATE" });
  });

  test("is stopped, and stopping it again says so", async () => {
    const { machines } = api.user;
    const other = (await api.user.create({ skipLaunch: false })).machine?.id ?? "";
    const stop = (signal = "") =>
      call(
        machines,
        machines.stopMachine,
        { leaseNonce: "", machineId: other, signal, timeout: undefined },
        LIMIT,
      );

    expect(await faultOf(stop("SIGFOO"))).toMatchObject({ reason: "INVALID_FIELDS" });
    expect(await stop()).toMatchObject({ alreadyStopped: false, machine: { state: MachineState.STOPPED } });
    expect(await stop("SIGTERM")).toMatchObject({ alreadyStopped: true });
  });
});

describe("faults of the host", () => {
  test.each([
    "INVALID_STATE",
    "INSUFFICIENT_CAPACITY",
    "EXEC_FAILED",
    "START_FAILED",
    "START_TIMEOUT",
    "START_QUEUE_FULL",
  ])("%s reaches the caller of a start as it is", async (reason) => {
    const { machine } = await api.user.create();
    world.host(1).before("startMachine", () => {
      throw new Fault(
        "RESOURCE_EXHAUSTED",
        reason,
        "the host said so",
        { free: "1" },
        { retryAfterMs: 7_000 },
      );
    });

    const fault = await faultOf(api.user.start(machine?.id ?? ""));

    expect(fault).toMatchObject({
      reason,
      message: "the host said so",
      facts: { free: "1" },
      retryAfterMs: 7_000,
    });
  });

  test.each([
    ["00009abcdef123", "HOST_UNKNOWN", "NOT_FOUND"],
    ["00001abcdef123", "MACHINE_NOT_FOUND", "NOT_FOUND"],
    ["nonsense", "INVALID_FIELDS", "INVALID_ARGUMENT"],
    ["", "INVALID_FIELDS", "INVALID_ARGUMENT"],
  ])("starting %j is %s", async (id, reason, code) => {
    expect(await faultOf(api.user.start(id))).toMatchObject({ reason, code });
  });
});

describe("who may do what", () => {
  test("another organisation's machines and apps do not exist", async () => {
    const { machine } = await api.user.create({ name: "private" });
    const other = await api.as("other", ["machines:read", "machines:write"]);
    await world.sql(
      "insert into organizations (slug, name, quota_machines, quota_memory_mb) values ('other', 'Other', 1, 1024) on conflict do nothing",
    );

    expect(await faultOf(other.start(machine?.id ?? ""))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(other.get(machine?.id ?? ""))).toMatchObject({ reason: "MACHINE_NOT_FOUND" });
    expect(await faultOf(other.create())).toMatchObject({ reason: "APP_NOT_FOUND" });
    const list = ListMachinesRequest.fromPartial({ app: "web" });
    const listing = call(other.machines, other.machines.listMachines, list, LIMIT);
    expect(await faultOf(listing)).toMatchObject({ reason: "APP_NOT_FOUND" });
    other.close();
  });

  test("reading takes one scope, writing another", async () => {
    const reader = await api.as("personal", ["machines:read"]);
    const { machine } = await api.user.create();

    expect(await faultOf(reader.create())).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "SCOPE_MISSING",
    });
    expect(await faultOf(reader.start(machine?.id ?? ""))).toMatchObject({ reason: "SCOPE_MISSING" });
    expect((await reader.get(machine?.id ?? ""))?.id).toBe(machine?.id);
    reader.close();
  });
});

test("nothing is held by hosts once all creates have ended", async () => {
  await api.user.create();

  expect((await world.leftovers()).holds).toEqual(NOTHING_LEFT.holds);
});
