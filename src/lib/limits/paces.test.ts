import { expect, test } from "vitest";
import { Paces } from "./paces.ts";

const never = new AbortController().signal;

test("a holder has its burst at once, waits for what is beyond it, and holds up nobody else", async () => {
  const paces = new Paces({ perSecond: 1, burst: 10, clock: { monotonicMs: () => 0 } });
  const gone = new AbortController();
  let isPaid = false;

  await paces.take("a", 10, never);
  const beyond = paces.take("a", 1_000, gone.signal).then(() => {
    isPaid = true;
  });
  await paces.take("b", 10, never);

  expect(isPaid).toBe(false);
  gone.abort();
  await beyond;
});

test("what a holder does not use comes back, up to its burst", async () => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs };
  const paces = new Paces({ perSecond: 100, burst: 10, clock });
  await paces.take("a", 10, never);

  clock.nowMs = 3_600_000;
  await paces.take("a", 10, never);
  const startedAt = performance.now();
  await paces.take("a", 2, never);

  // A timer may fire a millisecond early.
  expect(performance.now() - startedAt).toBeGreaterThan(15);
});
