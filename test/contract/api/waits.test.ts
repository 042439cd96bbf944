import { ulid } from "ulid";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { MachineEvent, MachineState } from "../../../src/gen/windhover/machines/v1/machine.ts";
import { WaitMachineRequest } from "../../../src/gen/windhover/machines/v1/machines.ts";
import type { Fault } from "../../../src/lib/faults/fault.ts";
import { call, openStream } from "../../../src/lib/grpc/client.ts";

import { faultOf } from "../../support/fault-of.ts";
import { type TestApi, World } from "./fixture.ts";

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

describe("waits and logs", () => {
  /** A started machine of host 1 and what waits until it is stopped. */
  async function waiting(on: TestApi) {
    const { machine } = await on.user.create();
    const machineId = machine?.id ?? "";
    await on.user.start(machineId);
    const { machines } = on.user;
    const request = WaitMachineRequest.fromPartial({ machineId, states: [MachineState.STOPPED] });
    const watched = () => world.host(1).calls.filter((call) => call === "watchMachines").length;
    return { machineId, watched, wait: () => call(machines, machines.waitMachine, request, LIMIT) };
  }

  test("a wait is told that its api shuts down", async () => {
    const going = await world.api();
    const { wait, watched } = await waiting(going);
    const told = faultOf(wait());
    await expect.poll(watched).toBe(1);

    await going.close();

    expect(await told).toMatchObject({ code: "UNAVAILABLE", reason: "SERVER_DRAINING" });
  });

  test("all waits for machines of a host share one stream, and each gets the machine as it was", async () => {
    const own = await world.api();
    const { machineId, wait, watched } = await waiting(own);
    const waits = Array.from({ length: 100 }, wait);
    const named = () => world.host(1).watched.filter((id) => id === machineId).length;
    // Each names it, so all have begun.
    await expect.poll(named).toBe(100);

    world.host(1).change(machineId, { state: MachineState.STOPPED });
    world.host(1).change(machineId, { state: MachineState.STARTED });

    const states = (await Promise.all(waits)).map(({ machine }) => machine?.state);
    expect(new Set(states)).toEqual(new Set([MachineState.STOPPED]));
    expect(watched()).toBe(1);
    await own.close();
  });

  test("waits beyond what an organisation may have are told so, and its calls and others' waits go on", async () => {
    const own = await world.api({ inProgressLimits: { calls: 8, streams: 3 } });
    const { machineId, wait, watched } = await waiting(own);
    const outcomes = Array.from({ length: 5 }, () => faultOf(wait()).catch(() => "answered"));
    const refused = await Promise.all(
      [0, 1].map(() => Promise.race(outcomes).then((fault) => fault as Fault)),
    );
    await expect.poll(watched).toBe(1);

    expect(refused[0]).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "TOO_MANY_STREAMS",
      facts: { org: "personal", limit: "3" },
      retryAfterMs: 1_000,
    });
    expect((await own.user.start(machineId)).alreadyStarted).toBe(true);
    world.host(1).change(machineId, { state: MachineState.STOPPED });
    const ended = await Promise.all(outcomes);
    expect(ended.filter((each) => each === "answered")).toHaveLength(3);
    await own.close();
  });

  describe("a wait", () => {
    const until = (machineId: string, request: Partial<WaitMachineRequest>, on = api) => {
      const { machines } = on.user;
      return call(
        machines,
        machines.waitMachine,
        { ...WaitMachineRequest.create(), machineId, ...request },
        LIMIT,
      );
    };
    const eventId = (number: string) => number.padStart(26, "0");
    const event = (number: string, status: MachineState) =>
      MachineEvent.fromPartial({ id: eventId(number), type: "start", status });
    let id: string;

    beforeEach(async () => {
      id = (await api.user.create()).machine?.id ?? "";
    });

    test("for a machine that rests ends when it does, whatever the state", async () => {
      const rests = await until(id, { settled: true });
      world.host(1).change(id, { state: MachineState.STOPPING });
      const waited = until(id, { settled: true });
      world.host(1).change(id, { state: MachineState.FAILED, events: [event("7", MachineState.FAILED)] });

      expect(rests.machine?.state).toBe(MachineState.CREATED);
      expect(await waited).toMatchObject({ machine: { state: MachineState.FAILED }, eventId: eventId("7") });
    });

    test("from an event on finds what happened before it began, and the present state does not count", async () => {
      const events = [
        event("04", MachineState.STARTED),
        event("03", MachineState.STOPPED),
        event("02", MachineState.STARTED),
      ];
      world.host(1).change(id, { state: MachineState.STARTED, events });

      const stopped = await until(id, { states: [MachineState.STOPPED], afterEventId: eventId("02") });
      const next = until(id, {
        states: [MachineState.STARTED],
        afterEventId: eventId("04"),
        acrossCalls: true,
      });
      const later = [event("05", MachineState.STARTED), ...events];
      await expect.poll(() => world.host(1).calls.filter((each) => each === "getMachine").length).toBe(3);
      world.host(1).change(id, { state: MachineState.STARTED, events: later });

      expect(stopped).toMatchObject({ machine: { id, state: MachineState.STOPPED }, eventId: eventId("03") });
      expect((await next).eventId).toBe(eventId("05"));
      expect(
        await faultOf(until(id, { states: [MachineState.CREATED], afterEventId: eventId("05") })),
      ).toMatchObject({
        reason: "STATE_UNREACHABLE",
      });
    });

    test("from an event on counts states without an event of their own, and no cordon", async () => {
      const [destroy, launch] = [event("03", MachineState.DESTROYING), event("01", MachineState.CREATING)];
      const cordon = { ...event("02", MachineState.CREATED), type: "cordon" };
      world.host(1).change(id, { events: [cordon, launch] });

      const created = await until(id, { states: [MachineState.CREATED], afterEventId: eventId("01") });
      world
        .host(1)
        .change(id, { state: MachineState.STARTED, events: [cordon, event("01", MachineState.STARTED)] });
      const again = until(id, { states: [MachineState.STARTED], afterEventId: eventId("01") });
      const fault = await faultOf(again);
      world.host(1).change(id, { state: MachineState.DESTROYED, events: [destroy, cordon, launch] });
      const destroyed = await until(id, { states: [MachineState.DESTROYED], afterEventId: eventId("03") });

      expect(created.machine?.state).toBe(MachineState.CREATED);
      expect(fault.reason).toBe("STATE_UNREACHABLE");
      expect(destroyed.machine?.state).toBe(MachineState.DESTROYED);
    });

    test("for a version that was rolled back ends, also when it begins after that", async () => {
      const { instanceId: old = "" } = world.host(1).machines.get(id) ?? {};
      const tried = ulid(Date.now() + 10_000);
      const own = await world.api();
      world.host(1).change(id, { state: MachineState.UPDATING, instanceId: tried });
      const waiting = faultOf(until(id, { instanceId: tried, acrossCalls: true }, own));
      await expect.poll(() => world.host(1).calls).toContain("watchMachines");
      const events = [{ ...event("02", MachineState.UPDATING), instanceId: tried }];
      world.host(1).change(id, { state: MachineState.STARTED, instanceId: old, events });

      const facts = { instance_id: tried, current_version: old };
      expect(await waiting).toMatchObject({ reason: "REPLACED", facts });
      expect(await faultOf(until(id, { instanceId: tried }))).toMatchObject({ reason: "REPLACED", facts });
      await own.close();
    });

    test("for a version goes on while a rollback may bring it back", async () => {
      const { instanceId: old = "" } = world.host(1).machines.get(id) ?? {};
      const tried = ulid(Date.now() + 10_000);
      const own = await world.api();
      world.host(1).rollbackTo = old;
      world.host(1).change(id, { state: MachineState.STARTED, instanceId: tried });
      const states = [MachineState.STARTED];
      const stays = until(id, { states, instanceId: old }, own);
      const goes = until(id, { states: [MachineState.REPLACED], instanceId: old }, own);
      // Comes by the same stream, after the state for the others.
      await until(id, { states, instanceId: tried }, own);

      world.host(1).rollbackTo = "";
      world.host(1).change(id, { state: MachineState.STARTED, instanceId: old });
      expect((await stays).machine?.instanceId).toBe(old);
      world.host(1).change(id, { state: MachineState.STARTED, instanceId: ulid(Date.now() + 20_000) });

      expect((await goes).machine?.state).toBe(MachineState.REPLACED);
      expect(await faultOf(until(id, { states, instanceId: old }))).toMatchObject({ reason: "REPLACED" });
      await own.close();
    });

    test("for a version ends when another one has replaced it, and waits for one to come", async () => {
      const old = world.host(1).machines.get(id)?.instanceId ?? "";
      const [next, last] = [ulid(Date.now() + 10_000), ulid(Date.now() + 20_000)];
      const own = await world.api();
      const coming = until(id, { states: [MachineState.CREATED], instanceId: next }, own);
      await expect.poll(() => world.host(1).calls).toContain("watchMachines");
      world.host(1).change(id, { instanceId: next });
      const arrived = await coming;
      world.host(1).change(id, { instanceId: last });

      const told = await faultOf(until(id, { instanceId: old, settled: true }));
      const replaced = await until(id, { instanceId: old, states: [MachineState.REPLACED] });

      expect(arrived.machine?.instanceId).toBe(next);
      expect(told).toMatchObject({ reason: "REPLACED", facts: { instance_id: old, current_version: last } });
      expect(replaced.machine?.state).toBe(MachineState.REPLACED);
      await own.close();
    });

    test("across calls goes on for what somebody may still do, and not for what can never come", async () => {
      const own = await world.api();
      const started = until(id, { states: [MachineState.STARTED], acrossCalls: true }, own);
      await expect.poll(() => world.host(1).calls).toContain("watchMachines");
      await api.user.start(id);
      expect((await started).machine?.state).toBe(MachineState.STARTED);

      world.host(1).change(id, { state: MachineState.DESTROYED });
      const never = until(id, { states: [MachineState.STARTED], acrossCalls: true });
      expect(await faultOf(never)).toMatchObject({
        reason: "STATE_UNREACHABLE",
        facts: { state: "destroyed", states: "started" },
      });
      await own.close();
    });

    test("for a machine that its host has forgotten knows that it is destroyed", async () => {
      world.host(1).machines.delete(id);
      const gone = `update machines set state = 'destroyed', snapshot = snapshot || '{"state":"destroyed"}' where id = $1`;
      await world.sql(gone, [id]);

      const { machine } = await until(id, { states: [MachineState.DESTROYED] });

      expect(machine).toMatchObject({ id, state: MachineState.DESTROYED });
      expect(await faultOf(until(id, {}))).toMatchObject({
        reason: "STATE_UNREACHABLE",
        facts: { state: "destroyed" },
      });
    });

    test("for what cannot be a version fails at once", async () => {
      for (const instanceId of ["latest", "2", "01J".repeat(9)])
        expect(await faultOf(until(id, { instanceId }))).toMatchObject({
          ...{ reason: "INVALID_FIELDS", facts: { fields: "instance_id" } },
        });
    });

    test("from what cannot be an event fails at once", async () => {
      for (const afterEventId of ["newest", "7", "01J".repeat(9), "8".repeat(26)])
        expect(await faultOf(until(id, { afterEventId }))).toMatchObject({
          ...{ reason: "INVALID_FIELDS", facts: { fields: "after_event_id" } },
        });
    });

    test("names every field that is wrong", async () => {
      const fault = await faultOf(
        until("x", { states: [0], instanceId: "v".repeat(65), afterEventId: "e".repeat(65) }),
      );

      expect(fault.facts["fields"]?.split(",").sort()).toEqual([
        "after_event_id",
        "instance_id",
        "machine_id",
        "states",
      ]);
    });
  });

  test("a wait goes on while its host restarts", async () => {
    const own = await world.api();
    const { machineId, wait, watched } = await waiting(own);
    const waited = wait();
    await expect.poll(watched).toBe(1);

    await world.host(1).stop();
    world.host(1).change(machineId, { state: MachineState.STOPPED });
    await world.host(1).start();

    expect((await waited).machine).toMatchObject({ id: machineId, state: MachineState.STOPPED });
    await own.close();
  });

  test("a log goes on while its host restarts: no line is lost, none comes twice", async () => {
    const own = await world.api();
    const { machineId } = await waiting(own);
    const { machines } = own.user;
    const request = { machineId, follow: true, tail: 0, since: undefined, afterSequence: 0n };
    const host = world.host(1);
    const lines: string[] = [];
    const reading = (async () => {
      for await (const { entries } of openStream(machines, machines.streamLogs, request, LIMIT)) {
        lines.push(...entries.map(({ text }) => text));
        if (lines.includes("end")) return;
      }
    })();
    await expect.poll(() => lines).toEqual(["hello"]);

    await host.stop();
    host.lines.push("while away", "end");
    await host.start();

    await reading;
    expect(lines).toEqual(["hello", "while away", "end"]);
    host.lines.length = 1;
    await own.close();
  });

  test("a wait for a machine whose host is away is told so", async () => {
    const own = await world.api();
    const { wait } = await waiting(own);
    await world.host(1).stop();

    const told = await faultOf(wait());

    await world.host(1).start();
    expect(told).toMatchObject({ code: "UNAVAILABLE", reason: "HOST_UNREACHABLE" });
    await own.close();
  });
});
