import fc from "fast-check";
import { expect, test } from "vitest";
import { Allocations, usageOf } from "./allocation.ts";
import { add, NOTHING } from "./amounts.ts";

const resources = fc.record({
  cpus: fc.integer({ min: 1, max: 3 }),
  memoryMb: fc.constantFrom(256, 512),
  diskMb: fc.constantFrom(512, 1_024),
});
const step = fc.record({
  kind: fc.constantFrom("set", "delete", "admit", "release", "resize", "reserve", "expire"),
  machine: fc.constantFrom("a", "b", "c"),
  resources,
  time: fc.constantFrom(0, 5, 10),
});

test("the sum that is kept is the sum of all, whatever changes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const allocations = new Allocations();
      for (const { kind, machine, resources: size, time } of steps) {
        if (kind === "set")
          allocations.set(machine, {
            resources: size,
            vms: new Map(),
            launchUntilMs: time,
            reserved: NOTHING,
          });
        else if (kind === "delete") allocations.delete(machine);
        else if (kind === "expire") allocations.expire(time);
        else
          allocations.change(machine, (allocation) => {
            if (kind === "admit") allocation.vms.set("vm", allocation.resources);
            if (kind === "release") allocation.vms.delete("vm");
            if (kind === "resize") allocation.resources = size;
            if (kind === "reserve") allocation.reserved = size;
          });

        const all = [...allocations.values()].reduce((sum, each) => add(sum, usageOf(each)), NOTHING);
        expect(allocations.sum).toEqual(all);
      }
    }),
  );
});

test("first starts whose time is over have nothing but disk, and the next end is told", () => {
  const allocations = new Allocations();
  const size = { cpus: 1, memoryMb: 256, diskMb: 512 };
  for (const [machine, launchUntilMs] of Object.entries({ a: 5, b: 10, c: 0 }))
    allocations.set(machine, { resources: size, vms: new Map(), launchUntilMs, reserved: NOTHING });

  expect(allocations.expire(5)).toBe(10);
  expect(allocations.sum).toEqual({ cpus: 1, memoryMb: 256, diskMb: 1_536 });
  expect(allocations.expire(10)).toBe(Number.POSITIVE_INFINITY);
  expect(allocations.sum).toEqual({ cpus: 0, memoryMb: 0, diskMb: 1_536 });
});
