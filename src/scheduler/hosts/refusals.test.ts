import { expect, test } from "vitest";
import { TestTime } from "../../../test/support/scheduler/fixture.ts";
import { Refusals } from "./refusals.ts";

function setUp() {
  const time = new TestTime();
  return { time, refusals: new Refusals(time) };
}

test("a refusal counts, and half as much after half a minute", () => {
  const { time, refusals } = setUp();
  expect(refusals.add(1)).toBe(false);
  expect(refusals.score(1)).toBe(1);
  expect(refusals.score(2)).toBe(0);

  time.pass(30_000);

  expect(refusals.score(1)).toBeCloseTo(0.5);
});

test("the third within a minute leaves the host out for half a minute, and one more does not prolong that", () => {
  const { time, refusals } = setUp();
  refusals.add(1);
  refusals.add(1);
  expect(refusals.isInBackoff(1)).toBe(false);

  expect(refusals.add(1)).toBe(true);
  time.pass(10_000);
  expect(refusals.add(1)).toBe(false);

  expect(refusals.backoffLeftMs(1)).toBe(20_000);
  expect(refusals.inBackoff()).toBe(1);
  time.pass(20_000);
  expect(refusals.isInBackoff(1)).toBe(false);
});

test("refusals far apart never leave a host out", () => {
  const { time, refusals } = setUp();
  for (let i = 0; i < 10; i++) {
    refusals.add(1);
    time.pass(31_000);
  }
  expect(refusals.isInBackoff(1)).toBe(false);
});
