import { monotonicFactory } from "ulid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  CheckStatus,
  type Machine,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
import {
  ListMachinesRequest,
  WaitMachineRequest,
  WatchMachinesRequest,
} from "../../../../src/gen/windhover/machines/v1/machines.ts";
import { call, openStream } from "../../../../src/lib/grpc/client.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { type TestApi, World } from "../fixture.ts";
import { Reporter } from "../watches/fixture.ts";

const LIMIT = { timeoutMs: 20_000 };
const ulid = monotonicFactory();
const UPDATED = new Date("2026-11-29T20:00:00Z");

let world: World;
let api: TestApi;

beforeAll(async () => {
  world = await World.open(1);
  api = await world.api();
  await api.user.createApp("web");
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.clear();
  await world.sql("update hosts set applied_sequence = 0");
});

async function create(): Promise<Machine> {
  const { machine } = await api.user.create();
  if (!machine) throw new Error("no machine");
  return machine;
}

async function started(): Promise<Machine> {
  const machine = await create();
  await api.user.start(machine.id);
  return machine;
}

function wait(request: Partial<WaitMachineRequest>) {
  const { machines } = api.user;
  return call(machines, machines.waitMachine, WaitMachineRequest.fromPartial(request), LIMIT);
}

function check(name: string, status: string, output = ""): CheckStatus {
  return CheckStatus.fromPartial({ name, status, output, updateTime: UPDATED, readiness: true });
}

describe("readiness that a host reports", () => {
  test("is in lists, watches and reads without the host, and is replaced by the next report", async () => {
    const machine = await create();
    const host = new Reporter(world);
    const checks = [check("alive", "passing", "200 OK"), check("db", "critical", "connection refused")];
    const told = {
      ...{ ready: true, checks },
      busyUntilTime: new Date("2030-01-01T00:00:00Z"),
      lifetimeEndTime: new Date("2031-01-01T00:00:00Z"),
    };
    const first = host.change(machine);
    const list = async () => {
      const { machines } = api.user;
      const request = ListMachinesRequest.fromPartial({ app: "web" });
      return (await call(machines, machines.listMachines, request, LIMIT)).machines[0];
    };

    await host.report(api, [{ ...first, status: first.status && { ...first.status, ...told } }]);

    expect(await list()).toMatchObject(told);
    const { machines } = api.user;
    const request = WatchMachinesRequest.fromPartial({ machineIds: [machine.id] });
    for await (const { changes } of openStream(machines, machines.watchMachines, request, LIMIT)) {
      expect(changes[0]?.machine).toMatchObject(told);
      break;
    }
    await host.report(api, [host.change(machine)]);
    expect(await list()).toMatchObject({
      ...{ ready: false, checks: [] },
      ...{ busyUntilTime: undefined, lifetimeEndTime: undefined },
    });
  });

  test("has no more checks and no longer texts than the contract allows", async () => {
    const machine = await create();
    const host = new Reporter(world);
    const change = host.change(machine);
    const checks = Array.from({ length: 300 }, (_, i) => check(`c${i}`, "passing", "x".repeat(2_000)));

    await host.report(api, [{ ...change, status: change.status && { ...change.status, checks } }]);

    const [row] = await world.sql<{ count: number; longest: number }>(
      `select jsonb_array_length(snapshot -> 'checks') as count,
              (select max(length(c ->> 'output'))::int from jsonb_array_elements(snapshot -> 'checks') c) as longest
         from machines where id = $1`,
      [machine.id],
    );
    expect(row).toEqual({ count: 144, longest: 512 });
  });
});

describe("a wait for a machine to be ready", () => {
  test("ends when its host says that it is ready, and not with the start", async () => {
    const { id } = await started();
    let ended = false;
    const waited = wait({ machineId: id, ready: true }).finally(() => {
      ended = true;
    });
    world.host(1).change(id, { checks: [check("alive", "warning")] });
    const other = await wait({ machineId: id, states: [MachineState.STARTED] });
    expect(other.machine?.ready).toBe(false);
    expect(ended).toBe(false);

    world.host(1).change(id, { ready: true, checks: [check("alive", "passing")] });

    expect((await waited).machine).toMatchObject({ ready: true, checks: [{ status: "passing" }] });
  });

  test("ends at once when it is ready, and beside states with the first of both", async () => {
    const { id } = await started();
    const either = wait({ machineId: id, ready: true, states: [MachineState.STOPPED] });

    world.host(1).change(id, { ready: true });

    expect((await either).machine).toMatchObject({ state: MachineState.STARTED, ready: true });
    expect((await wait({ machineId: id, ready: true })).machine?.ready).toBe(true);
  });

  test("fails when the machine does not run", async () => {
    const { id } = await create();

    expect(await faultOf(wait({ machineId: id, ready: true }))).toMatchObject({
      reason: "STATE_UNREACHABLE",
      facts: { states: "ready" },
    });
  });

  test("says what it waited for when its time is over", async () => {
    const { id } = await started();
    const timeout = { seconds: 0n, nanos: 50_000_000 };

    expect(await faultOf(wait({ machineId: id, ready: true, timeout }))).toMatchObject({
      reason: "WAIT_TIMEOUT",
      facts: { state: "started", states: "ready" },
    });
  });

  test("after an event ends with the readiness that comes after it", async () => {
    const { id } = await started();
    const host = world.host(1);
    const event = (type: string) =>
      MachineEvent.fromPartial({ id: ulid(), type, status: MachineState.STARTED, source: "hostd" });
    const [before, cordon, after] = [event("ready"), event("cordon"), event("ready")];
    host.change(id, { ready: true, events: [before] });
    const waited = wait({ machineId: id, ready: true, afterEventId: before.id });
    const states = [MachineState.STARTED];
    const restarted = faultOf(wait({ machineId: id, states, afterEventId: before.id }));
    await expect.poll(() => host.calls.filter((each) => each === "getMachine").length).toBeGreaterThan(1);

    host.change(id, { events: [cordon, before] });
    host.change(id, { events: [after, cordon, before] });

    expect(await waited).toMatchObject({ eventId: after.id });
    // It has not started again.
    expect(await restarted).toMatchObject({ reason: "STATE_UNREACHABLE" });
  });
});
