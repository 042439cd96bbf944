import type { Standing } from "../../gen/windhover/admin/v1/organizations.ts";
import type { HostStatus, MachineState } from "../../gen/windhover/machines/v1/machine.ts";
import type { Scheduling } from "../../gen/windhover/scheduler/v1/host.ts";

// Names of wire enums. Plain data, so that showing help does not load the generated code.

const STATES: Readonly<Record<MachineState, string>> = {
  0: "unspecified",
  1: "creating",
  2: "created",
  3: "starting",
  4: "started",
  5: "stopping",
  6: "stopped",
  7: "failed",
  8: "destroying",
  9: "destroyed",
  10: "suspending",
  11: "suspended",
  12: "restarting",
  13: "updating",
  14: "replacing",
  15: "replaced",
  16: "launch_failed",
  17: "migrated",
  [-1]: "unrecognized",
};
const HOST_STATUSES: Readonly<Record<HostStatus, string>> = {
  0: "unspecified",
  1: "ok",
  2: "unreachable",
  3: "unknown",
  [-1]: "unrecognized",
};
const SCHEDULINGS: Readonly<Record<Scheduling, string>> = {
  0: "unknown",
  1: "open",
  2: "cordoned",
  3: "draining",
  [-1]: "unrecognized",
};
const STANDINGS: Readonly<Record<Standing, string>> = {
  0: "unspecified",
  1: "good",
  2: "past_due",
  3: "banned",
  [-1]: "unrecognized",
};

/** Makes a function that names values. A newer value is called `unknown_<number>`. */
function namer(names: Readonly<Record<number, string>>): (value: number) => string {
  return (value) => names[value] ?? `unknown_${value}`;
}

export const stateName = namer(STATES);
export const hostStatusName = namer(HOST_STATUSES);
export const schedulingName = namer(SCHEDULINGS);
export const standingName = namer(STANDINGS);

/** Values of `--state`: the states that machines can have. */
export const STATE_NAMES: readonly string[] = [...Object.values(STATES).slice(1, 14), STATES[15]];

/** Finds a state by its name, whatever its case. */
export function stateNumber(name: string): MachineState | undefined {
  const wanted = name.toLowerCase().replaceAll("-", "_");
  const entry = Object.entries(STATES).find(([value, each]) => each === wanted && Number(value) > 0);
  // The keys of the record are the states.
  return entry && (Number(entry[0]) as MachineState);
}
