import { describe, expect, test } from "vitest";
import type { Step } from "../../../../src/api/acquire/acquire.ts";
import { newMachineId } from "../../../../src/api/machines/ids/machine-id.ts";
import { acquire, api, query, START_ANY, withDatabase } from "./fixture.ts";
import { ModelFleet } from "./model.ts";

withDatabase();

describe("the answer of an acquire", () => {
  test("tells what was tried, why each failed and how long it took", async () => {
    const fleet = new ModelFleet([
      { room: 0, status: "ok", ms: 0 },
      { room: 9, status: "unreachable", ms: 0 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [full, away, good] = [fleet.add(0), fleet.add(1), fleet.add(2)];
    const steps = [full, away, newMachineId(2, 99n), good].map(
      (machineId): Step => ({ kind: "start", machineId, timeoutMs: undefined }),
    );
    const request = { org: "personal", key: undefined, steps, timeoutMs: 5_000, hedgeAfterMs: undefined };

    const { step, machine, attempts } = await acquire(api(fleet), request);

    expect({ step, id: machine.id }).toEqual({ step: 3, id: good });
    expect(attempts.map(({ step: index, outcome, reason }) => [index, outcome, reason])).toEqual([
      [0, "failed", "INSUFFICIENT_CAPACITY"],
      [1, "skipped", "HOST_UNREACHABLE"],
      [2, "failed", "MACHINE_NOT_FOUND"],
      [3, "started", ""],
    ]);
    await expect(acquire(api(fleet), { ...request, steps: steps.slice(0, 2) })).rejects.toMatchObject({
      reason: "NO_STEP_WORKED",
      facts: { reason_0: "INSUFFICIENT_CAPACITY", reason_1: "HOST_UNREACHABLE" },
    });
  });

  test("comes from the next step when one is slow, whose machine is stopped again", async () => {
    const end = Promise.withResolvers<void>();
    const fleet = new ModelFleet([
      { room: 9, status: "ok", ms: end.promise },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [slow, fast] = [fleet.add(0), fleet.add(1)];
    const steps = [slow, fast].map((machineId): Step => ({ kind: "start", machineId, timeoutMs: undefined }));
    const request = { org: "personal", key: undefined, steps, timeoutMs: 5_000, hedgeAfterMs: 5 };

    const { step, machine, attempts } = await acquire(api(fleet), request);

    expect(step).toBe(1);
    expect(attempts.map(({ step: index, outcome }) => [index, outcome])).toEqual([
      [0, "superseded"],
      [1, "started"],
    ]);
    end.resolve();
    await expect
      .poll(async () => (await query("select status from acquires where machine_id = $1", [machine.id])).rows)
      .toEqual([{ status: "done" }]);
    expect(fleet.machines.get(slow)?.stops).toBe(1);
    expect(fleet.running).toEqual([fast]);
  });

  test("is a failure in time when no step ends in time", async () => {
    const end = Promise.withResolvers<void>();
    const fleet = new ModelFleet([{ room: 9, status: "ok", ms: end.promise }]);
    const machineId = fleet.add(0);
    const step: Step = { kind: "start", machineId, timeoutMs: undefined };
    const request = {
      org: "personal",
      key: undefined,
      steps: [step],
      timeoutMs: 20,
      hedgeAfterMs: undefined,
    };

    await expect(acquire(api(fleet), request)).rejects.toMatchObject({
      reason: "ACQUIRE_TIMEOUT",
      facts: { reason_0: "ACQUIRE_TIMEOUT", attempts: expect.stringContaining(machineId) },
    });

    end.resolve();
    await expect.poll(() => fleet.machines.get(machineId)?.stops).toBe(1);
    expect(fleet.running).toEqual([]);
  });

  test("tells each machine that a step has tried, also those that somebody else has leased", async () => {
    const fleet = new ModelFleet([
      { room: 0, status: "ok", ms: 0 },
      { room: 9, status: "ok", ms: 0 },
    ]);
    const [full, leased, good] = [fleet.add(0), fleet.add(1), fleet.add(1)];
    Object.assign(fleet.machines.get(leased) ?? {}, { leasedUntil: Date.now() + 60_000 });

    const { machine, attempts } = await acquire(api(fleet), {
      ...{ org: "personal", key: undefined, timeoutMs: 5_000, hedgeAfterMs: undefined },
      steps: [START_ANY],
    });

    expect(machine.id).toBe(good);
    expect(attempts.map(({ machineId, outcome, reason }) => [machineId, outcome, reason])).toEqual([
      [full, "failed", "INSUFFICIENT_CAPACITY"],
      [leased, "failed", "LEASE_HELD"],
      [good, "started", ""],
    ]);
  });
});
