import { Fault } from "../../lib/faults/fault.ts";
import type { Machine } from "./machine.ts";
import type { MachineState } from "./states.ts";

/**
 * Where a machine can go without another call about it. `created` and `stopping` lead further only as said in
 * {@link reachable}; a process may end at any time, so `started` leads to `stopped`.
 */
const BY_ITSELF: Readonly<Record<MachineState, readonly MachineState[]>> = {
  // The create that made it is still under way, and undoes it when it fails.
  creating: ["created", "destroying"],
  created: [],
  starting: ["started", "failed", "stopped"],
  started: ["stopped"],
  stopping: ["stopped"],
  stopped: [],
  failed: [],
  destroying: ["destroyed"],
  destroyed: [],
};

/** What a wait should do about a machine as it is now. */
export type WaitDecision =
  | { readonly kind: "done" }
  | { readonly kind: "wait" }
  | { readonly kind: "fail"; readonly fault: Fault };

/** Decides whether a wait for any of `states` is over, worth going on with, or in vain. */
export function decideWait(machine: Machine, states: readonly MachineState[], nowMs: number): WaitDecision {
  if (states.includes(machine.state)) return { kind: "done" };
  const launchIsComing = (machine.launchUntilMs ?? 0) > nowMs;
  const ahead = reachable(machine.state, launchIsComing);
  if (states.some((state) => ahead.has(state))) return { kind: "wait" };
  return { kind: "fail", fault: unreachable(machine, states) };
}

/**
 * The states that a machine in `state` may still get to without another call about it.
 *
 * @param launchIsComing the create under way will start it
 */
export function reachable(state: MachineState, launchIsComing: boolean): ReadonlySet<MachineState> {
  const found = new Set<MachineState>();
  const visit = (from: MachineState): void => {
    const next =
      from === "created" && launchIsComing ? (["starting", "destroying"] as const) : BY_ITSELF[from];
    for (const to of next) {
      if (found.has(to)) continue;
      found.add(to);
      visit(to);
    }
  };
  visit(state);
  return found;
}

/** The fault of a wait whose time ran out. */
export function waitTimeout(machine: Machine, states: readonly MachineState[], timeoutMs: number): Fault {
  return new Fault(
    "DEADLINE_EXCEEDED",
    "WAIT_TIMEOUT",
    `machine ${machine.id} is ${machine.state} and did not become ${states.join(" or ")} within ${timeoutMs} ms`,
    { machine_id: machine.id, state: machine.state, states: states.join(","), timeout_ms: String(timeoutMs) },
  );
}

function unreachable(machine: Machine, states: readonly MachineState[]): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "STATE_UNREACHABLE",
    `machine ${machine.id} is ${machine.state} and will not become ${states.join(" or ")} without another call`,
    { machine_id: machine.id, state: machine.state, states: states.join(",") },
  );
}
