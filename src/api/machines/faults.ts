import { Fault } from "../../lib/faults/fault.ts";
import type { AwaitedState, MachineState } from "./machine.ts";

export function machineNotFound(id: string): Fault {
  return new Fault("NOT_FOUND", "MACHINE_NOT_FOUND", `there is no machine ${id}`, { machine_id: id });
}

/** Makes the fault of a call that needs the host of a machine, which does not answer. */
export function hostUnreachable(id: string, facts: Readonly<Record<string, string>> = {}): Fault {
  const message = `the host of machine ${id} cannot be reached`;
  return new Fault("UNAVAILABLE", "HOST_UNREACHABLE", message, { machine_id: id, ...facts });
}

/** Makes the fault of a wait for states that cannot be reached without another call. */
export function unreachableState(id: string, state: MachineState, states: readonly AwaitedState[]): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "STATE_UNREACHABLE",
    `machine ${id} is ${state} and will not become ${states.join(" or ")} without another call`,
    { machine_id: id, state, states: states.join(",") },
  );
}

/** Makes the fault of a wait for a version that another one has replaced. */
export function versionReplaced(
  id: string,
  version: string,
  present: string,
  states: readonly AwaitedState[],
): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "REPLACED",
    `version ${version} of machine ${id} was replaced by ${present}; wait for that one`,
    { machine_id: id, instance_id: version, current_version: present, states: states.join(",") },
  );
}

/** Makes the fault of a wait whose time is over. */
export function waitTimeout(
  id: string,
  state: MachineState,
  states: readonly AwaitedState[],
  timeoutMs: number,
): Fault {
  return new Fault(
    "DEADLINE_EXCEEDED",
    "WAIT_TIMEOUT",
    `machine ${id} is ${state} and did not become ${states.join(" or ")} within ${timeoutMs} ms`,
    { machine_id: id, state, states: states.join(","), timeout_ms: String(timeoutMs) },
  );
}
