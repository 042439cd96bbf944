import { expect, test } from "vitest";
import { Status } from "../../gen/windhover/scheduler/v1/host.ts";
import { StatusChanges } from "./changes.ts";

test("a status is due when it has changed, and every five seconds when it has not", () => {
  const changes = new StatusChanges();
  const due = (load: number, seconds: number) =>
    changes.isDue(Status.encode(Status.fromPartial({ load })).finish(), seconds * 1_000);

  expect(due(0.1, 0)).toBe(true);
  expect([1, 2, 3, 4].map((second) => due(0.1, second))).toEqual([false, false, false, false]);
  expect(due(0.1, 5)).toBe(true);
  expect(due(0.1, 6)).toBe(false);
  expect(due(0.2, 7)).toBe(true);
  expect(due(0.2, 8)).toBe(false);
  expect(due(0.2, 11.9)).toBe(true);
});
