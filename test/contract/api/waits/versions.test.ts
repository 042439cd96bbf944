import { ulid } from "ulid";
import { beforeEach, describe, expect, test } from "vitest";
import { MachineState } from "../../../../src/gen/windhover/machines/v1/machine.ts";
import { faultOf } from "../../../support/fault-of.ts";
import { api, event, until, withWorld, world } from "./fixture.ts";

withWorld();

describe("waits and logs", () => {
  describe("a wait", () => {
    let id: string;

    beforeEach(async () => {
      id = (await api.user.create()).machine?.id ?? "";
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

    test("for what cannot be a version fails at once", async () => {
      for (const instanceId of ["latest", "2", "01J".repeat(9)])
        expect(await faultOf(until(id, { instanceId }))).toMatchObject({
          ...{ reason: "INVALID_FIELDS", facts: { fields: "instance_id" } },
        });
    });
  });
});
