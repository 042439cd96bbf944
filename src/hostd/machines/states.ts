/**
 * The life of a machine on its host.
 *
 *   creating --> created --> starting --> started --> stopping --> stopped
 *   starting --> failed, stopped        the launch failed; it was stopped, or hostd died, before the process ran
 *   started --> stopped                 the process ended by itself
 *   stopped --> starting                started again
 *   failed --> starting                 started again
 *   creating, created, starting, started, stopping, stopped, failed --> destroying --> destroyed
 *
 * The table below is the only place that says which state may follow which; a test compares it with this diagram.
 */
const NEXT = {
  creating: ["created", "destroying"],
  created: ["starting", "destroying"],
  starting: ["started", "failed", "stopped", "destroying"],
  started: ["stopping", "stopped", "destroying"],
  stopping: ["stopped", "destroying"],
  stopped: ["starting", "destroying"],
  failed: ["starting", "destroying"],
  destroying: ["destroyed"],
  destroyed: [],
} as const satisfies Record<string, readonly string[]>;

/** The states a machine can be in on its host. */
export type MachineState = keyof typeof NEXT;

/** All states, in the order of a life. */
// The keys of the literal above are exactly the union.
export const MACHINE_STATES = Object.keys(NEXT) as readonly MachineState[];

/** The states that may follow `state`. */
export function nextStates(state: MachineState): readonly MachineState[] {
  return NEXT[state];
}

/** Whether `to` may follow `from`. */
export function canMove(from: MachineState, to: MachineState): boolean {
  return nextStates(from).includes(to);
}

/** Whether a start would be the next thing to happen to a machine in this state. */
export function isStartable(state: MachineState): boolean {
  return state === "created" || state === "stopped" || state === "failed";
}

/** Whether a machine in this state has, or may have, a VM. */
export function hasVm(state: MachineState): boolean {
  return state === "starting" || state === "started" || state === "stopping";
}
