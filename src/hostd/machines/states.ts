/**
 * State machine of a machine on its host.
 *
 *   creating --> created --> starting --> started --> stopping --> stopped
 *   starting --> failed, stopped        the launch failed; a stop, or a crash of hostd, before the process ran
 *   started --> stopped                 the process ended by itself
 *   stopped --> starting                started again
 *   failed --> starting                 started again
 *   creating, created, starting, started, stopping, stopped, failed --> destroying --> destroyed
 *
 * A test compares this diagram with the table below.
 */
const NEXT: Readonly<Record<MachineState, readonly MachineState[]>> = {
  creating: ["created", "destroying"],
  created: ["starting", "destroying"],
  starting: ["started", "failed", "stopped", "destroying"],
  started: ["stopping", "stopped", "destroying"],
  stopping: ["stopped", "destroying"],
  stopped: ["starting", "destroying"],
  failed: ["starting", "destroying"],
  destroying: ["destroyed"],
  destroyed: [],
};

export const MACHINE_STATES = [
  ...["creating", "created", "starting", "started", "stopping", "stopped"],
  ...["failed", "destroying", "destroyed"],
] as const;

export type MachineState = (typeof MACHINE_STATES)[number];

export function nextStates(state: MachineState): readonly MachineState[] {
  return NEXT[state];
}

export function canMove(from: MachineState, to: MachineState): boolean {
  return nextStates(from).includes(to);
}

export function isStartable(state: MachineState): boolean {
  return state === "created" || state === "stopped" || state === "failed";
}

/** Whether a machine in this state has, or may have, a VM. */
export function hasVm(state: MachineState): boolean {
  return state === "starting" || state === "started" || state === "stopping";
}
