import type { Violations } from "../../lib/faults/violations.ts";
import type { MachineState } from "./machine.ts";

/** More than there are. */
export const MAX_STATES = 64;

/** Checks states that a request names. */
export function checkStates(states: readonly MachineState[], violations: Violations): void {
  const areKnown = !states.includes("unknown");
  violations.check(areKnown, "states", "must be states of windhover.machines.v1.MachineState");
}
