import { type Change, invalidState, MAX_EVENTS, type Machine, type MachineEvent } from "./machine.ts";
import { canMove, type MachineState } from "./states.ts";

/** Time of a change, and the id of its event. */
export interface Stamp {
  readonly nowMs: number;
  readonly eventId: string;
}

type EventPart = Pick<MachineEvent, "type" | "source"> &
  Partial<Pick<MachineEvent, "message" | "reason" | "exit" | "restartCount" | "instanceId">>;

/** Moves a machine to its next state. @throws Fault INVALID_STATE when {@link canMove} forbids it */
export function move(machine: Machine, to: MachineState, at: Stamp): Machine {
  if (!canMove(machine.state, to)) throw invalidState(machine, to);
  return { ...nextGeneration(machine, at), state: to };
}

/** Counts a change that leaves the state. */
export function nextGeneration(machine: Machine, at: Stamp): Machine {
  return { ...machine, generation: machine.generation + 1, updatedAtMs: at.nowMs };
}

/** Whether an event is one of the machine's states. Others happen beside a state. */
export function isMove({ type }: Pick<MachineEvent, "type">): boolean {
  return type !== "cordon" && type !== "uncordon" && type !== "ready" && type !== "check";
}

/** Adds an event to a machine that has changed. */
export function withEvent(machine: Machine, part: EventPart, at: Stamp): Change {
  const event: MachineEvent = {
    id: at.eventId,
    status: machine.state,
    timeMs: at.nowMs,
    message: "",
    reason: "",
    instanceId: machine.spec.instanceId,
    ...part,
  };
  return { machine: { ...machine, events: [event, ...machine.events].slice(0, MAX_EVENTS) }, event };
}
