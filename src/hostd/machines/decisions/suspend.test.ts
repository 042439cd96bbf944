import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import { started } from "../change.ts";
import type { CheckStatus, Machine } from "../machine.ts";
import { lifetimeEndMs } from "../own-starts/due.ts";
import { suspended, suspending } from "./suspend.ts";

const stamp = (nowMs: number) => ({ nowMs, eventId: "01HF7YAT00ABCDEFGHJKMNPQRZ" });
const CHECK: CheckStatus = {
  ...{ name: "alive", status: "passing", output: "200", updatedAtMs: 2_000, isReadiness: true },
};

/** A machine that was started at 1,000 and suspended at 5,000, and is started at 60,000. */
function starting(run: Partial<Machine>): Machine {
  const running = machineIn("started", { vmId: "vm-1", runAtMs: 1_000, ...run });
  const config = { ...running.spec.config, maxLifetimeMs: 10_000 };
  const machine = { ...running, spec: { ...running.spec, config } };
  const began = suspending(machine, { source: "user", message: "" }, stamp(4_000)).machine;
  const rests = suspended(began, { vmId: "vm-1", bytes: 8 }, stamp(5_000)).machine;
  return { ...rests, state: "starting", vmId: "vm-2" };
}

test("a run goes on after a suspend: what it may still last, its checks, and for how long it is busy", () => {
  const busy = { sinceMs: 3_000, untilMs: 9_000 };

  const { machine } = started(starting({ isReady: true, checks: [CHECK], busy }), "resume", stamp(60_000));

  expect(machine).toMatchObject({ isReady: true, checks: [CHECK], resumed: { vmId: "vm-1", bytes: 8 } });
  expect(machine.busy).toEqual({ sinceMs: 58_000, untilMs: 64_000 });
  expect(lifetimeEndMs(machine)).toBe(60_000 + 6_000);
  expect(machine.saved).toBeUndefined();
});

test("a run that was not ready when it was paused is not ready when it goes on", () => {
  const failing: CheckStatus = { ...CHECK, status: "critical" };

  const { machine } = started(starting({ isReady: false, checks: [failing] }), "resume", stamp(60_000));

  expect(machine).toMatchObject({ isReady: false, checks: [failing] });
});

test("a machine that could not go on begins a new run", () => {
  const { machine } = started(starting({ isReady: true, checks: [CHECK] }), "cold", stamp(60_000), "too old");

  expect(machine.checks).toBeUndefined();
  expect(machine.resumed).toBeUndefined();
  expect(lifetimeEndMs(machine)).toBe(60_000 + 10_000);
});
