import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import { startInterrupted } from "../change.ts";
import { nextDue } from "../own-starts/due.ts";
import { ready, updated } from "./update.ts";

const AT = { nowMs: 5_000, eventId: "01HF7YAT00ABCDEFGHJKMNPQRZ" };
const STOP = { signal: 15, killAtMs: 0 };

test("an update that is not to be launched leaves a machine between two runs stopped", () => {
  const machine = machineIn("restarting", { restartAtMs: 9_000 });
  const version = { ...machine.spec, instanceId: "01HF7YAT00ABCDEFGHJKMNPQRT" };
  const options = { launch: false, skipLaunch: true, rollbackWithinMs: undefined };

  const change = updated(machine, version, options, { ports: [], stop: STOP }, AT);

  expect(change.machine).toMatchObject({ state: "stopped", spec: { instanceId: version.instanceId } });
  expect(change.event).toMatchObject({ type: "update", status: "stopped" });
  expect(nextDue(change.machine)).toBeUndefined();
});

test("a new version whose process has just ended is not ready", () => {
  const update = { from: "started" as const, launch: true, previousPorts: [], rollbackWithinMs: 1_000 };

  expect(ready(machineIn("updating", { update }), AT)).toBeUndefined();
  expect(ready(machineIn("started", { update }), AT)?.machine.update).toBeUndefined();
});

test("a scheduled start that a restart of the daemon interrupts is made up for at once", () => {
  const scheduled = { scheduledAtMs: 3_605_000, startCause: "schedule" as const, vmId: "vm" };

  const { machine } = startInterrupted(machineIn("starting", scheduled), AT);
  const saved = { vmId: "saved", bytes: 8 };
  const { machine: suspended } = startInterrupted(machineIn("starting", { ...scheduled, saved }), AT);

  expect(machine).toMatchObject({ state: "stopped", events: [{ reason: "START_INTERRUPTED" }] });
  expect(suspended).toMatchObject({ state: "suspended", saved, events: [{ reason: "START_INTERRUPTED" }] });
  for (const each of [machine, suspended])
    expect(nextDue(each)).toEqual({ atMs: AT.nowMs, what: "schedule" });
});

test("an update of a machine whose suspend an earlier hostd has left stops its VM first", () => {
  const machine = machineIn("suspending", { vmId: "vm" });
  const version = { ...machine.spec, instanceId: "01HF7YAT00ABCDEFGHJKMNPQRT" };

  for (const skipLaunch of [true, false]) {
    const options = { launch: false, skipLaunch, rollbackWithinMs: undefined };
    const { machine: after } = updated(machine, version, options, { ports: [], stop: STOP }, AT);

    expect(after).toMatchObject({ state: "updating", stop: STOP, update: { launch: !skipLaunch } });
  }
});
