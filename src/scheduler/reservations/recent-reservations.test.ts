import { expect, test } from "vitest";
import { ManualClock } from "../../../test/support/manual-clock.ts";
import { RecentReservations } from "./recent-reservations.ts";

test("remembers the hosts of a reservation until they are taken", () => {
  const recent = new RecentReservations(5_000, new ManualClock());
  recent.add("r1", [1, 2]);

  expect(recent.take("r1")).toEqual([1, 2]);
  expect(recent.take("r1")).toEqual([]);
});

test("forgets what has outlived its time", () => {
  const clock = new ManualClock();
  const recent = new RecentReservations(5_000, clock);
  recent.add("r1", [1]);
  clock.advance(5_000);
  recent.add("r2", [2]);

  expect(recent.size).toBe(1);
  expect(recent.take("r1")).toEqual([]);
});

test("forgets the oldest when there are too many", () => {
  const recent = new RecentReservations(5_000, new ManualClock());
  for (let i = 0; i < 20_001; i++) recent.add(`r${i}`, [i]);

  expect(recent.size).toBe(20_000);
  expect(recent.take("r0")).toEqual([]);
  expect(recent.take("r20000")).toEqual([20_000]);
});
