import { Fault } from "../../lib/faults/fault.ts";
import type { Machine } from "./machine.ts";
import type { MachineState } from "./states.ts";

/** The states that follow each state without another call about the machine. */
const WITHOUT_A_CALL: Readonly<Record<MachineState, readonly MachineState[]>> = {
  // The create is still under way: it prepares the machine, or undoes itself.
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

export type WaitDecision =
  | { readonly kind: "done" }
  | { readonly kind: "wait" }
  | { readonly kind: "fail"; readonly fault: Fault };

/** Decides whether a wait for any of `states` is done, goes on, or fails because none of them can be reached. */
export function decideWait(machine: Machine, states: readonly MachineState[], nowMs: number): WaitDecision {
  if (states.includes(machine.state)) return { kind: "done" };
  const ahead = reachableFrom(machine, nowMs);
  if (states.some((state) => ahead.has(state))) return { kind: "wait" };
  return { kind: "fail", fault: unreachable(machine, states) };
}

/** Returns the states that follow without another call. */
export function reachableFrom(machine: Machine, nowMs: number): ReadonlySet<MachineState> {
  return reachable(machine.state, (machine.launchUntilMs ?? 0) > nowMs);
}

/** Returns the states that follow, directly or not. @param launchIsComing whether the create under way will start the machine */
export function reachable(state: MachineState, launchIsComing: boolean): ReadonlySet<MachineState> {
  const found = new Set<MachineState>();
  const visit = (from: MachineState): void => {
    const next =
      from === "created" && launchIsComing ? (["starting", "destroying"] as const) : WITHOUT_A_CALL[from];
    for (const to of next) {
      if (found.has(to)) continue;
      found.add(to);
      visit(to);
    }
  };
  visit(state);
  return found;
}

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
