import fc from "fast-check";
import { expect, test } from "vitest";
import { type Candidate, evict, RESERVE_BYTES } from "./evict.ts";

const file = (path: string, bytes: number, lastUseMs: number): Candidate => ({ path, bytes, lastUseMs });
const roomy = { usedBytes: 0, budgetBytes: 1e12, freeBytes: 1e12 };

test("nothing goes while there is room", () => {
  expect(evict([file("a", 10, 1)], roomy, 100)).toEqual({ victims: [], missingBytes: 0 });
});

test("what was not used for longest goes first, and no more than must", () => {
  const candidates = [file("new", 50, 3), file("old", 50, 1), file("middle", 50, 2)];

  const { victims, missingBytes } = evict(candidates, { ...roomy, usedBytes: 150, budgetBytes: 200 }, 110);

  expect(victims.map((v) => v.path)).toEqual(["old", "middle"]);
  expect(missingBytes).toBe(0);
});

test("a full disk counts as well as the budget, and something is left to others", () => {
  const disk = { ...roomy, freeBytes: RESERVE_BYTES + 10 };

  expect(evict([], disk, 10).missingBytes).toBe(0);
  expect(evict([], disk, 11).missingBytes).toBe(1);
});

test("a cache that asks for nothing only comes back to its budget", () => {
  const disk = { usedBytes: 120, budgetBytes: 100, freeBytes: 0 };

  expect(evict([file("a", 50, 1)], disk, 0).victims).toHaveLength(1);
  expect(evict([], disk, 0)).toEqual({ victims: [], missingBytes: 20 });
});

test("victims always make enough room, or all of them are not enough", () => {
  const candidate = fc.record({ path: fc.string(), bytes: fc.nat(1000), lastUseMs: fc.nat(100) });
  fc.assert(
    fc.property(fc.array(candidate), fc.nat(5000), fc.nat(5000), (candidates, used, needed) => {
      const disk = { usedBytes: used, budgetBytes: 3000, freeBytes: 1e12 };
      const { victims, missingBytes } = evict(candidates, disk, needed);
      const freed = victims.reduce((sum, v) => sum + v.bytes, 0);
      expect(Math.max(0, used + needed - freed - 3000)).toBe(missingBytes);
      if (missingBytes > 0) expect(victims).toHaveLength(candidates.length);
      const oldestSpared = Math.min(
        ...candidates.filter((c) => !victims.includes(c)).map((c) => c.lastUseMs),
      );
      for (const victim of victims) expect(victim.lastUseMs).toBeLessThanOrEqual(oldestSpared);
    }),
  );
});
