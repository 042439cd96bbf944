import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import type { Machine } from "../machine.ts";
import type { Stamp } from "../stamp.ts";
import { busyUntilMs, withBusy } from "./busy.ts";

const MINUTE_MS = 60_000;

/** A machine that runs. */
function machine(maxBusyMs?: number): Machine {
  const { spec, ...rest } = machineIn("started");
  const config = { ...spec.config, ...(maxBusyMs === undefined ? {} : { maxBusyMs }) };
  return { ...rest, spec: { ...spec, config } };
}

/** Says at some minutes until which minute the program is busy; the answer: until when it counts. */
function say(given: Machine, ...said: readonly (readonly [at: number, until: number])[]) {
  let now = given;
  for (const [at, until] of said) {
    const stamp: Stamp = { nowMs: at * MINUTE_MS, eventId: "" };
    now = withBusy(now, until * MINUTE_MS, stamp)?.machine ?? now;
  }
  return (now.busy?.untilMs ?? 0) / MINUTE_MS;
}

test("a program is busy until it has said, at most for an hour by default", () => {
  expect(say(machine(), [100, 110])).toBe(110);
  expect(say(machine(), [100, 300])).toBe(160);
});

test("a row of words has one ceiling", () => {
  expect(say(machine(), [100, 150], [149, 200], [159, 300])).toBe(160);
  expect(say(machine(10 * MINUTE_MS), [100, 105], [104, 130])).toBe(110);
});

test("a new row begins once the program has not been busy for a minute", () => {
  expect(say(machine(), [100, 160], [160.5, 200])).toBe(160);
  expect(say(machine(), [100, 160], [161, 200])).toBe(200);
});

test("a program may say that it is not busy any more", () => {
  expect(say(machine(), [100, 150], [120, 0])).toBe(120);
});

test("an owner may have no program say that it is busy", () => {
  expect(withBusy(machine(0), 500 * MINUTE_MS, { nowMs: 0, eventId: "" })).toBeUndefined();
});

test("what changes nothing worth a write is not stored", () => {
  const at = { nowMs: 0, eventId: "" };
  const busy = withBusy(machine(), MINUTE_MS, at)?.machine ?? machine();
  expect(withBusy(busy, MINUTE_MS + 500, at)).toBeUndefined();
  expect(withBusy(machine(), 0, at)).toBeUndefined();
  expect(busyUntilMs(busy, MINUTE_MS - 1)).toBe(MINUTE_MS);
  expect(busyUntilMs(busy, MINUTE_MS)).toBeUndefined();
  expect(busyUntilMs({ ...busy, state: "stopping" }, 0)).toBeUndefined();
});
