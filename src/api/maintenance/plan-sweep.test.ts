import { describe, expect, it } from "vitest";
import { machine } from "../../../test/support/api-machine.ts";
import type { Machine } from "../machines/machine.ts";
import { planSweep } from "./plan-sweep.ts";

describe("a sweep", () => {
  const known = (id: string, generation = "5", isCommitted = true, state: Machine["state"] = "started") => ({
    id,
    state,
    generation,
    isCommitted,
  });

  it("finds what is unknown, missing and ahead", () => {
    const onHost = [
      machine("unknown", "1"),
      machine("same", "5"),
      machine("ahead", "6"),
      machine("going", "9", "destroying"),
    ];
    const stored = [known("same"), known("ahead"), known("missing"), known("unfinished", "1", false)];

    const plan = planSweep(onHost, { before: stored, after: stored }, 100_000, 60_000);

    expect(plan.unknown.map((one) => one.id)).toEqual(["unknown"]);
    expect(plan.ahead.map((one) => one.id)).toEqual(["ahead"]);
    expect(plan.missing.map((one) => one.id)).toEqual(["missing"]);
  });

  it("leaves young machines alone, and what has changed since it looked", () => {
    const plan = planSweep(
      [machine("young", "1")],
      { before: [known("went")], after: [known("went", "6", true, "destroyed")] },
      59_000,
      60_000,
    );

    expect(plan).toEqual({ unknown: [], ahead: [], missing: [], isImplausible: false });
  });

  it("repairs nothing when the database or the host seems to have lost data", () => {
    const machines = Array.from({ length: 6 }, (_, i) => machine(`m${i}`, "1"));
    const stored = machines.map((one) => known(one.id));
    const sweep = (onHost: Machine[], inDatabase: typeof stored) =>
      planSweep(onHost, { before: inDatabase, after: inDatabase }, 100_000, 60_000).isImplausible;

    expect(sweep(machines, [])).toBe(true);
    expect(sweep([], stored)).toBe(true);
    expect(sweep(machines.slice(1), [])).toBe(false);
    expect(sweep(machines, stored)).toBe(false);
  });

  it("finds a machine on a host that the database has as destroyed", () => {
    const destroyed = known("zombie", "7", true, "destroyed");

    const plan = planSweep([machine("zombie", "9")], { before: [], after: [destroyed] }, 100_000, 60_000);

    expect(plan.unknown.map((one) => one.id)).toEqual(["zombie"]);
    expect(plan.ahead).toEqual([]);
  });
});
