import {
  type Change,
  type ExitInfo,
  invalidState,
  type LocalImage,
  MAX_EVENTS,
  type Machine,
  type MachineEvent,
  type MachineId,
  type MachineSpec,
  type PendingStop,
} from "./machine.ts";
import { canMove, type MachineState } from "./states.ts";

export interface Stamp {
  readonly nowMs: number;
  readonly eventId: string;
}

/** Makes a machine from an award. */
export function newMachine(
  id: MachineId,
  spec: MachineSpec,
  placed: { ports: readonly number[]; launchUntilMs: number | undefined },
  at: Stamp,
): Change {
  const machine: Machine = {
    id,
    spec,
    state: "creating",
    generation: 1,
    updatedAtMs: at.nowMs,
    events: [],
    ports: placed.ports,
    lastStartPath: "",
    lastStartTraceId: "",
    ...(placed.launchUntilMs === undefined ? {} : { launchUntilMs: placed.launchUntilMs }),
  };
  return withEvent(machine, { type: "launch", source: "user" }, at);
}

export function prepared(machine: Machine, image: LocalImage, at: Stamp): Change {
  const next = move(machine, "created", at);
  return { machine: { ...next, spec: { ...machine.spec, image } } };
}

/** Begins a start. The id of the VM is stored before the VM runs anything, so that a restarted hostd finds its machine. */
export function starting(
  machine: Machine,
  start: { vmId: string; ports: readonly number[]; traceId: string },
  at: Stamp,
): Change {
  const { launchUntilMs: _, ...rest } = move(machine, "starting", at);
  return { machine: { ...rest, vmId: start.vmId, ports: start.ports, lastStartTraceId: start.traceId } };
}

export function started(machine: Machine, startPath: string, at: Stamp): Change {
  const next = { ...move(machine, "started", at), lastStartPath: startPath };
  return withEvent(next, { type: "start", source: "user" }, at);
}

export function startFailed(machine: Machine, reason: string, message: string, at: Stamp): Change {
  return withEvent(
    withoutVm(move(machine, "failed", at)),
    { type: "failure", source: "hostd", reason, message },
    at,
  );
}

/** Records that a start was cancelled before the process ran. */
export function startCancelled(machine: Machine, at: Stamp): Change {
  const next = withoutVm(move(machine, "stopped", at));
  return withEvent(next, { type: "stop", source: "user", message: "stopped before its process ran" }, at);
}

/** Records that hostd ended during a start, before the process ran. */
export function startInterrupted(machine: Machine, at: Stamp): Change {
  const next = withoutVm(move(machine, "stopped", at));
  const message = "the host's daemon restarted before the process ran; start it again";
  return withEvent(next, { type: "failure", source: "hostd", reason: "START_INTERRUPTED", message }, at);
}

export function stopping(machine: Machine, stop: PendingStop, at: Stamp): Change {
  return withEvent({ ...move(machine, "stopping", at), stop }, { type: "stop", source: "user" }, at);
}

/** Records the end of the process, or of the VM without an exit event (`lost`: why). A machine being destroyed stays `destroying`. */
export function exited(machine: Machine, exit: ExitInfo, lost: string | undefined, at: Stamp): Change {
  const next = machine.state === "destroying" ? grow(machine, at) : move(machine, "stopped", at);
  const why =
    lost === undefined
      ? { message: describeExit(exit), reason: "" }
      : { message: `the virtual machine was lost: ${lost}`, reason: "VM_LOST" };
  return withEvent(withoutVm(next), { type: "exit", source: "hostd", exit, ...why }, at);
}

export function destroying(
  machine: Machine,
  why: { source: "user" | "hostd"; message: string },
  at: Stamp,
): Change {
  const { launchUntilMs: _, ...next } = move(machine, "destroying", at);
  return withEvent(next, { type: "destroy", ...why }, at);
}

export function destroyed(machine: Machine, at: Stamp): Change {
  return { machine: { ...withoutVm(move(machine, "destroyed", at)), ports: [] } };
}

/** Moves a machine to its next state. @throws Fault INVALID_STATE when {@link canMove} forbids it */
function move(machine: Machine, to: MachineState, at: Stamp): Machine {
  if (!canMove(machine.state, to)) throw invalidState(machine, to);
  return { ...grow(machine, at), state: to };
}

function grow(machine: Machine, at: Stamp): Machine {
  return { ...machine, generation: machine.generation + 1, updatedAtMs: at.nowMs };
}

function withoutVm(machine: Machine): Machine {
  const { vmId: _vm, stop: _stop, ...rest } = machine;
  return rest;
}

type EventPart = Pick<MachineEvent, "type" | "source"> &
  Partial<Pick<MachineEvent, "message" | "reason" | "exit">>;

function withEvent(machine: Machine, part: EventPart, at: Stamp): Change {
  const event: MachineEvent = {
    id: at.eventId,
    status: machine.state,
    timeMs: at.nowMs,
    message: "",
    reason: "",
    ...part,
  };
  return { machine: { ...machine, events: [event, ...machine.events].slice(0, MAX_EVENTS) }, event };
}

function describeExit(exit: ExitInfo): string {
  if (exit.oomKilled) return "the guest's kernel killed the process for lack of memory";
  if (exit.signal !== "") return `the process was ended by ${exit.signal}`;
  return `the process exited with code ${exit.exitCode ?? "unknown"}`;
}
