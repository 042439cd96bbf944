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

/** When something happened, and the id of the event that tells of it. */
export interface Stamp {
  readonly nowMs: number;
  readonly eventId: string;
}

/** A machine that has just been placed here. */
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

/** Its image is local and pinned. */
export function prepared(machine: Machine, image: LocalImage, at: Stamp): Change {
  const next = move(machine, "created", at);
  return { machine: { ...next, spec: { ...machine.spec, image } } };
}

/** A start begins: the VM's id is stored before anything runs in the VM, so that after a crash it is known whose it is. */
export function starting(
  machine: Machine,
  start: { vmId: string; ports: readonly number[]; traceId: string },
  at: Stamp,
): Change {
  const { launchUntilMs: _, ...rest } = move(machine, "starting", at);
  return { machine: { ...rest, vmId: start.vmId, ports: start.ports, lastStartTraceId: start.traceId } };
}

/** The process has been exec'ed. */
export function started(machine: Machine, startPath: string, at: Stamp): Change {
  const next = { ...move(machine, "started", at), lastStartPath: startPath };
  return withEvent(next, { type: "start", source: "user" }, at);
}

/** The start came to nothing, and why. */
export function startFailed(machine: Machine, reason: string, message: string, at: Stamp): Change {
  return withEvent(
    withoutVm(move(machine, "failed", at)),
    { type: "failure", source: "hostd", reason, message },
    at,
  );
}

/** The start was called off before the process ran. */
export function startCancelled(machine: Machine, at: Stamp): Change {
  const next = withoutVm(move(machine, "stopped", at));
  return withEvent(next, { type: "stop", source: "user", message: "stopped before its process ran" }, at);
}

/** hostd ended in the middle of a start and found nothing running when it came back. */
export function startInterrupted(machine: Machine, at: Stamp): Change {
  const next = withoutVm(move(machine, "stopped", at));
  const message = "the host's daemon restarted before the process ran; start it again";
  return withEvent(next, { type: "failure", source: "hostd", reason: "START_INTERRUPTED", message }, at);
}

/** A stop begins. */
export function stopping(machine: Machine, stop: PendingStop, at: Stamp): Change {
  return withEvent({ ...move(machine, "stopping", at), stop }, { type: "stop", source: "user" }, at);
}

/** The process has ended, or its VM has. A machine being destroyed stays so. */
export function exited(machine: Machine, exit: ExitInfo, lost: string | undefined, at: Stamp): Change {
  const next = machine.state === "destroying" ? grow(machine, at) : move(machine, "stopped", at);
  const why =
    lost === undefined
      ? { message: describeExit(exit), reason: "" }
      : { message: `the virtual machine was lost: ${lost}`, reason: "VM_LOST" };
  return withEvent(withoutVm(next), { type: "exit", source: "hostd", exit, ...why }, at);
}

/** A destroy begins. */
export function destroying(
  machine: Machine,
  why: { source: "user" | "hostd"; message: string },
  at: Stamp,
): Change {
  const { launchUntilMs: _, ...next } = move(machine, "destroying", at);
  return withEvent(next, { type: "destroy", ...why }, at);
}

/** Nothing is left of it but this record. */
export function destroyed(machine: Machine, at: Stamp): Change {
  return { machine: { ...withoutVm(move(machine, "destroyed", at)), ports: [] } };
}

/** The machine in its next state; INVALID_STATE when there is no such edge. */
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
