import { expect, test } from "vitest";
import { Refills } from "./refills.ts";

const SMALL = { cpus: 1, memoryMb: 256 };
const LARGE = { cpus: 2, memoryMb: 512 };

let nowMs = 0;
function later(ms: number): void {
  nowMs += ms;
}

test("a refill lasts from the first VM that was taken until there is one more, and is told once", () => {
  const refills = new Refills(() => nowMs);
  refills.taken(SMALL);
  later(100);
  refills.taken(SMALL);
  refills.taken(LARGE);
  later(50);
  refills.added(SMALL);
  later(25);
  refills.added(SMALL);

  expect([refills.next(SMALL), refills.next(SMALL), refills.next(SMALL)]).toEqual([150, 75, undefined]);
  expect(refills.next(LARGE)).toBeUndefined();
});

test("a VM that the pool does not need to replace has no refill", () => {
  const refills = new Refills(() => nowMs);
  refills.taken(SMALL);
  refills.full(SMALL);
  later(60_000);
  refills.added(SMALL);

  expect(refills.next(SMALL)).toBeUndefined();
});

test("those that nobody asks for are bounded", () => {
  const refills = new Refills(() => nowMs);
  for (let i = 0; i < 1_000; i++) {
    refills.taken(SMALL);
    refills.added(SMALL);
  }
  let count = 0;
  while (refills.next(SMALL) !== undefined) count += 1;

  expect(count).toBe(64);
});
