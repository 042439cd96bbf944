import {
  HostStatus as HostStatusCode,
  type MachineEvent as ProtoEvent,
  type Machine as ProtoMachine,
  MachineState as StateCode,
} from "../gen/windhover/machines/v1/machine.ts";

/** State of a machine, e.g. `started`. `unrecognized` is one that this version does not know. */
export type MachineState = Lowercase<keyof typeof StateCode>;

/** Whether the host of a machine can be reached. */
export type HostStatus = Lowercase<keyof typeof HostStatusCode>;

/** Something that happened to a machine. */
export interface MachineEvent extends Omit<ProtoEvent, "status"> {
  /** State after the event. */
  readonly status: MachineState;
}

/** A machine: configuration, host and state. */
export interface Machine extends Omit<ProtoMachine, "state" | "hostStatus" | "events"> {
  readonly state: MachineState;
  /** Whether its host can be reached now. */
  readonly hostStatus: HostStatus;
  /** The last events, newest first, at most 20. */
  readonly events: readonly MachineEvent[];
}

const STATES = namesOf(StateCode);
const HOST_STATUSES = namesOf(HostStatusCode);

/** Converts a machine. @throws TypeError when there is none */
export function machineFromProto(machine: ProtoMachine | undefined): Machine {
  if (machine === undefined) throw new TypeError("the answer has no machine");
  return {
    ...machine,
    state: stateFromProto(machine.state),
    hostStatus: HOST_STATUSES.get(machine.hostStatus) ?? "unrecognized",
    events: machine.events.map(eventFromProto),
  };
}

export function eventFromProto(event: ProtoEvent): MachineEvent {
  return { ...event, status: stateFromProto(event.status) };
}

export function stateFromProto(code: StateCode): MachineState {
  return STATES.get(code) ?? "unrecognized";
}

/** Converts the name of a state. @throws TypeError for one that does not exist */
export function stateToProto(state: MachineState): StateCode {
  for (const [code, name] of STATES) if (name === state) return code;
  throw new TypeError(`there is no state "${state}"; there are ${[...STATES.values()].join(", ")}`);
}

function namesOf<K extends string, V extends number>(codes: Readonly<Record<K, V>>): Map<V, Lowercase<K>> {
  // The keys and values are those of the type.
  const entries = Object.entries(codes) as [K, V][];
  return new Map(entries.map(([name, code]) => [code, name.toLowerCase() as Lowercase<K>]));
}
