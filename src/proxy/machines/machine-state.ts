/** States of machines, and `missing` for one that its host does not have. */
export const MACHINE_STATES = [
  ...(["creating", "created", "starting", "started", "stopping", "stopped", "failed"] as const),
  ...(["destroying", "destroyed", "suspending", "suspended", "restarting", "updating"] as const),
  ...(["missing", "unknown"] as const),
] as const;

export type MachineState = (typeof MACHINE_STATES)[number];

/** What requests may expect of a machine in a state. */
export type Prospect = "running" | "coming" | "asleep" | "passing" | "none";

const PROSPECTS: Readonly<Record<MachineState, Prospect>> = {
  started: "running",
  creating: "coming",
  starting: "coming",
  created: "asleep",
  stopped: "asleep",
  failed: "asleep",
  suspended: "asleep",
  // Its host lets a start wait until these are over.
  stopping: "passing",
  suspending: "passing",
  restarting: "passing",
  updating: "passing",
  destroying: "none",
  destroyed: "none",
  missing: "none",
  unknown: "none",
};

export function prospectOf(state: MachineState): Prospect {
  return PROSPECTS[state];
}

const WITH_VM: ReadonlySet<MachineState> = new Set([
  ...(["started", "stopping", "suspending", "restarting", "updating"] as const),
]);

/** Whether connections to a machine may still be open: a VM that is stopped has its grace. */
export function mayHaveConnections(state: MachineState): boolean {
  return WITH_VM.has(state);
}
