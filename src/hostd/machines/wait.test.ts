import { expect, test } from "vitest";
import { machineIn } from "../../../test/support/hostd/machine-builder.ts";
import { MACHINE_STATES, type MachineState } from "./states.ts";
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
