import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import type { Machine } from "../machine.ts";
import { countRestart, decideRestart } from "./restarts.ts";

function withPolicy(policy: string, maxRetries = 0): Machine {
  const machine = machineIn("started");
  const config = { ...machine.spec.config, restart: { policy, maxRetries } };
  return { ...machine, spec: { ...machine.spec, config } };
}

test("the first restart comes at once, the next ones double up to 30 s, and the eleventh never", () => {
  let machine = withPolicy("always");
  let nowMs = 1_000_000;
  const pauses: (number | string)[] = [];
  for (let run = 0; run < 11; run += 1) {
    const decision = decideRestart(machine, true, nowMs);
    pauses.push(decision.kind === "restart" ? decision.atMs - nowMs : decision.kind);
    nowMs = decision.kind === "restart" ? decision.atMs : nowMs;
    machine = { ...machine, restarts: countRestart(machine.restarts, nowMs) };
  }

  expect(pauses).toEqual([
    100,
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    30_000,
    30_000,
    30_000,
    30_000,
    "exhausted",
  ]);
});

test("restarts of more than 5 min ago count no more, but are counted", () => {
  let machine = withPolicy("on-failure", 1);
  for (let hour = 1; hour <= 3; hour += 1) {
    const nowMs = hour * 3_600_000;
    expect(decideRestart(machine, true, nowMs)).toEqual({ kind: "restart", atMs: nowMs + 100 });
    machine = { ...machine, restarts: countRestart(machine.restarts, nowMs) };
  }

  expect(machine.restarts).toEqual({ count: 3, timesMs: [10_800_000] });
});

test.each([
  ["no", true, "none"],
  ["", true, "none"],
  ["on-failure", false, "none"],
  ["on-failure", true, "restart"],
  ["always", false, "restart"],
])("the policy %s after a failure (%s): %s", (policy, isFailure, kind) => {
  expect(decideRestart(withPolicy(policy), isFailure, 0).kind).toBe(kind);
});
