import { MachineState as Wire } from "../gen/windhover/machines/v1/machine.ts";
import type { MachineState } from "./machines/machine-state.ts";

const FROM_PROTO: Readonly<Partial<Record<number, MachineState>>> = {
  [Wire.CREATING]: "creating",
  [Wire.CREATED]: "created",
  [Wire.STARTING]: "starting",
  [Wire.STARTED]: "started",
  [Wire.STOPPING]: "stopping",
  [Wire.STOPPED]: "stopped",
  [Wire.FAILED]: "failed",
  [Wire.DESTROYING]: "destroying",
  [Wire.DESTROYED]: "destroyed",
  [Wire.SUSPENDING]: "suspending",
  [Wire.SUSPENDED]: "suspended",
  [Wire.RESTARTING]: "restarting",
  [Wire.UPDATING]: "updating",
};

/** Converts a state. One that is newer than this proxy is `unknown`. */
export function stateFromProto(state: Wire): MachineState {
  return FROM_PROTO[state] ?? "unknown";
}
