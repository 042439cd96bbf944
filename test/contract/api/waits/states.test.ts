import { beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { api, event, eventId, until, withWorld, world } from "./fixture.ts";

withWorld();

describe("waits and logs", () => {
  describe("a wait", () => {
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
});
