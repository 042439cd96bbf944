import { expect, test } from "vitest";
import { machineIn } from "../../../../test/support/hostd/machine-builder.ts";
import type { Machine, MachineEvent } from "../machine.ts";
import type { MachineConfig } from "../machine-config.ts";
import { MACHINE_STATES, type MachineState } from "../states.ts";
import { type Ahead, type Awaited, decideWait, reachable } from "./wait.ts";

const EVERYTHING: Ahead = { launchIsComing: true, restarts: true, isScheduled: true, autoDestroy: true };

function awaited(states: readonly MachineState[], fields: Partial<Awaited> = {}): Awaited {
  return { states, replaced: false, instanceId: "", afterEventId: "", ...fields };
}

test.each<[MachineState, MachineState, "done" | "wait" | "fail"]>([
  ["started", "started", "done"],
  ["starting", "started", "wait"],
  ["starting", "failed", "wait"],
  ["started", "stopped", "wait"],
  ["stopping", "stopped", "wait"],
  ["creating", "created", "wait"],
  ["creating", "destroyed", "wait"],
  ["destroying", "destroyed", "wait"],
  ["stopped", "started", "fail"],
  ["failed", "started", "fail"],
  ["created", "started", "fail"],
  ["stopping", "started", "fail"],
  ["started", "destroyed", "fail"],
  ["destroyed", "stopped", "fail"],
  ["restarting", "started", "wait"],
  ["restarting", "failed", "wait"],
  ["updating", "started", "wait"],
  ["updating", "created", "wait"],
  ["restarting", "destroyed", "fail"],
])("in %s, a wait for %s is %s", (state, wanted, kind) => {
  expect(decideWait(machineIn(state), awaited([wanted]), 0).kind).toBe(kind);
});

test("a machine whose create will start it can become started", () => {
  const machine = machineIn("created", { launchUntilMs: 1_000 });

  expect(decideWait(machine, awaited(["started"]), 999).kind).toBe("wait");
  expect(decideWait(machine, awaited(["started"]), 1_000).kind).toBe("fail");
});

test("any of several states is enough, to end and to go on", () => {
  expect(decideWait(machineIn("stopped"), awaited(["started", "stopped"]), 0).kind).toBe("done");
  expect(decideWait(machineIn("started"), awaited(["destroyed", "stopped"]), 0).kind).toBe("wait");
});

test("a state that cannot be reached is refused with the present one", () => {
  const decision = decideWait(machineIn("stopped"), awaited(["started"]), 0);

  expect(decision).toMatchObject({
    fault: {
      code: "FAILED_PRECONDITION",
      reason: "STATE_UNREACHABLE",
      facts: { state: "stopped", states: "started" },
    },
  });
});

test("no state follows destroyed, and creating follows none", () => {
  for (const state of MACHINE_STATES) expect(reachable(state, EVERYTHING).has("creating")).toBe(false);
  expect(reachable("destroyed", EVERYTHING).size).toBe(0);
});

/** A machine with a configuration that starts, or destroys, it without a call. */
function machineWith(
  state: MachineState,
  config: Partial<MachineConfig>,
  fields: Partial<Machine> = {},
): Machine {
  const machine = machineIn(state, fields);
  return { ...machine, spec: { ...machine.spec, config: { ...machine.spec.config, ...config } } };
}

test.each<[string, Machine, MachineState, "wait" | "fail"]>([
  [
    "a policy",
    machineWith("started", { restart: { policy: "always", maxRetries: 0 } }),
    "restarting",
    "wait",
  ],
  ["no policy", machineWith("started", { restart: { policy: "no", maxRetries: 0 } }), "restarting", "fail"],
  ["auto_destroy", machineWith("started", { autoDestroy: true }), "destroyed", "wait"],
  ["a schedule", machineIn("stopped", { scheduledAtMs: 5 }), "started", "wait"],
])("with %s the states that it brings can be waited for", (_, machine, wanted, kind) => {
  expect(decideWait(machine, awaited([wanted]), 0).kind).toBe(kind);
});

function event(id: string, status: MachineState, type: MachineEvent["type"] = "start"): MachineEvent {
  return { id, type, status, source: "user", timeMs: 0, message: "", reason: "" };
}

test.each<[string, string, "done" | "wait" | "fail"]>([
  ["before it came into its state", "A", "done"],
  ["that brought it into its state", "B", "wait"],
])("a wait after an event %s", (_, afterEventId, kind) => {
  const machine = machineWith("started", { restart: { policy: "always", maxRetries: 0 } });
  const events = [event("C", "started", "cordon"), event("B", "started"), event("A", "created", "launch")];

  expect(decideWait({ ...machine, events }, awaited(["started"], { afterEventId }), 0).kind).toBe(kind);
});

test("a state without an event of its own comes after the newest event", () => {
  const events = [event("B", "destroying", "destroy"), event("A", "created", "launch")];
  const machine = machineIn("destroyed", { events });

  expect(decideWait(machine, awaited(["destroyed"], { afterEventId: "B" }), 0).kind).toBe("done");
});

test("a state that a machine was in after the event counts when it has left it", () => {
  const events = [event("C", "started"), event("B", "stopped", "exit"), event("A", "started")];
  const machine = machineIn("started", { events });

  expect(decideWait(machine, awaited(["stopped"], { afterEventId: "A" }), 0).kind).toBe("done");
  expect(decideWait(machine, awaited(["stopped"], { afterEventId: "C" }), 0).kind).toBe("wait");
});

test("a wait for a version goes on while the one that has replaced it may still be rolled back", () => {
  const update = { from: "started" as const, launch: true, previousPorts: [], rollbackWithinMs: 1_000 };
  const machine = machineIn("started", { update });
  const { instanceId: _, ...old } = machine.spec;
  const wanted = awaited(["started"], { instanceId: "01HF7YAT00ABCDEFGHJKMNPQRA" });
  const of = (fields: Partial<Machine>) =>
    decideWait(
      {
        ...machine,
        spec: { ...machine.spec, previous: { ...old, instanceId: wanted.instanceId } },
        ...fields,
      },
      wanted,
      0,
    ).kind;

  expect(of({})).toBe("wait");
  expect(of({ update: { ...update, isRollback: true } })).toBe("fail");
  expect(of({ update: { from: "started", launch: true, previousPorts: [] } })).toBe("fail");
  expect(decideWait(machine, wanted, 0).kind).toBe("fail");
});

test("a wait for another version is over or fails, and says replaced", () => {
  const machine = machineIn("started");
  const other = { instanceId: "01HF7YAT00ABCDEFGHJKMNPQRT" };

  expect(decideWait(machine, awaited([], { ...other, replaced: true }), 0).kind).toBe("done");
  expect(decideWait(machine, awaited(["started"], other), 0)).toMatchObject({
    fault: { code: "FAILED_PRECONDITION", reason: "REPLACED", message: expect.stringContaining("replaced") },
  });
});

test.each<[MachineState, boolean, "done" | "wait" | "fail"]>([
  ["started", true, "done"],
  ["started", false, "wait"],
  ["starting", false, "wait"],
  ["restarting", true, "wait"],
  ["stopped", true, "fail"],
])("in %s with readiness %s, a wait for it to be ready is %s", (state, isReady, kind) => {
  expect(decideWait(machineIn(state, { isReady }), awaited([], { ready: true }), 0).kind).toBe(kind);
});

test("a wait for readiness after an event is for the event of readiness, and names it when it fails", () => {
  const event = (id: string, type: MachineEvent["type"]): MachineEvent => ({
    ...{ id, type, status: "started", source: "hostd", timeMs: 0, message: "", reason: "" },
  });
  const events = [event("D", "check"), event("C", "ready"), event("B", "start")];
  const machine = machineIn("started", { isReady: true, events });

  const after = (afterEventId: string) => decideWait(machine, awaited([], { ready: true, afterEventId }), 0);

  expect(after("B").kind).toBe("done");
  expect(after("C").kind).toBe("wait");
  expect(decideWait(machineIn("stopped"), awaited([], { ready: true }), 0)).toMatchObject({
    fault: { facts: { states: "ready" } },
  });
});
