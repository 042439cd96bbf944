import { expect, test } from "vitest";
import { CallTurns } from "./call-turns.ts";

const MINUTE_MS = 60_000;

function setUp(atOnce: number) {
  const clock = { nowMs: 0 };
  const turns = new CallTurns(atOnce, () => clock.nowMs);
  const begun: string[] = [];
  const leaves: (() => void)[] = [];
  const enter = (org: string, count: number) => {
    for (let i = 1; i <= count; i++)
      turns.enter(org, (leave) => {
        begun.push(`${org}${i}`);
        leaves.push(leave);
      });
  };
  return { clock, turns, begun, leaves, enter };
}

test("an organisation that calls alone has all its calls begun at once", () => {
  const { turns, begun, enter } = setUp(2);

  enter("a", 100);

  expect(begun).toHaveLength(100);
  expect(turns.waiting).toBe(0);
});

test("beside another's calls, so many are worked on at a time, and the other's need not wait", async () => {
  const { turns, begun, leaves, enter } = setUp(2);
  enter("b", 1);

  enter("a", 5);
  enter("b", 1);

  expect(begun).toEqual(["b1", "a1", "a2", "b1"]);
  expect(turns.waiting).toBe(3);
  leaves[1]?.();
  await expect.poll(() => begun.at(-1)).toBe("a3");
  expect(turns.waiting).toBe(2);
});

test("an hour ago is not beside: then the organisation calls alone again", () => {
  const { clock, begun, enter } = setUp(2);
  enter("b", 1);
  enter("a", 1);

  clock.nowMs = 60 * MINUTE_MS;
  enter("a", 10);

  expect(begun).toHaveLength(12);
});

test("a call that waits for something else holds up the next for a moment only", async () => {
  const { begun, enter } = setUp(1);
  enter("b", 1);

  enter("a", 3);

  expect(begun).toEqual(["b1", "a1"]);
  await expect.poll(() => begun).toEqual(["b1", "a1", "a2", "a3"]);
});
