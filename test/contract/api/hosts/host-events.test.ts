import { ulid } from "ulid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { HostEvent } from "../../../../src/gen/windhover/admin/v1/hosts.ts";
import {
  type Machine,
  MachineEvent,
  MachineState,
} from "../../../../src/gen/windhover/machines/v1/machine.ts";
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

  test("bring the database up to date", async () => {
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

  test("with a status alone are refused while the database lacks the rest of the machine", async () => {
    await world.sql("update machines set snapshot = null");
    const { id } = machine;
    const status = { id, generation: 10n, state: MachineState.STARTED };
    const first = HostEvent.fromPartial({ sequence: 1n, status });

    const fault = await faultOf(report([first]));
    const { appliedSequence } = await report([
      event(1n, at(10n, MachineState.STARTED)),
      HostEvent.fromPartial({ sequence: 2n, status: { ...status, generation: 11n, lastStartPath: "warm" } }),
    ]);

    expect(fault).toMatchObject({ code: "FAILED_PRECONDITION", reason: "MACHINE_NOT_DESCRIBED" });
    expect(appliedSequence).toBe(2n);
    expect(await api.user.get(machine.id)).toMatchObject({ name: machine.name, config: machine.config });
    expect((await world.sql("select snapshot->>'lastStartPath' as path from machines"))[0]).toEqual({
      path: "warm",
    });
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
    ["with a machine twice", (e: HostEvent) => [HostEvent.fromPartial({ ...e, status: { id: machine.id } })]],
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
