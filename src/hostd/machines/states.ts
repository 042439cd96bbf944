/**
 * State machine of a machine on its host.
 *
 *   creating --> created --> starting --> started --> stopping --> stopped
 *   starting --> failed, stopped        the launch failed; a stop, or a crash of hostd, before the process ran
 *   started --> stopped                 the process ended by itself
 *   stopped --> starting                started again
 *   failed --> starting                 started again
 *   created, failed --> stopped         a stop: it has no process
 *   started --> restarting              a restart was asked for; the process ended and its policy restarts it
 *   starting --> restarting             a restart failed or was interrupted, and is tried again
 *   restarting --> starting             the backoff is over, or a call asks for it
 *   restarting --> stopping, stopped    a stop
 *   restarting --> failed               there was no room for it, or the limit of retries is reached
 *   created, started, stopped, failed, restarting --> updating
 *   suspending --> updating             an earlier hostd's suspend, whose VM could not be taken over
 *   starting --> updating               the new version cannot be started: the old one comes back
 *   updating --> starting               the version that is to run is there
 *   updating --> stopping, stopped      a stop
 *   updating --> created, failed        back in the state before the update
 *   started --> suspending --> suspended
 *   suspending --> started              it was not saved: a failure, a start, or a crash of hostd
 *   suspending --> stopping, stopped    a stop; the process ended by itself
 *   suspending --> restarting           the process ended and its policy restarts it
 *   suspended --> starting              it goes on, or is started anew when it cannot
 *   suspended --> stopped               a stop: what was saved is dropped
 *   suspended --> updating              what was saved is dropped
 *   starting --> suspended              a crash of hostd before it went on
 *   creating, created, starting, started, stopping, stopped, failed --> destroying --> destroyed
 *   restarting, updating, suspending, suspended --> destroying
 *
 * A test compares this diagram with the table below.
 */
const NEXT: Readonly<Record<MachineState, readonly MachineState[]>> = {
  creating: ["created", "destroying"],
  created: ["starting", "stopped", "updating", "destroying"],
  starting: ["started", "failed", "stopped", "restarting", "updating", "suspended", "destroying"],
  started: ["stopping", "stopped", "restarting", "updating", "suspending", "destroying"],
  stopping: ["stopped", "destroying"],
  stopped: ["starting", "updating", "destroying"],
  failed: ["starting", "stopped", "updating", "destroying"],
  suspending: ["suspended", "started", "stopping", "stopped", "restarting", "updating", "destroying"],
  suspended: ["starting", "stopped", "updating", "destroying"],
  restarting: ["starting", "stopping", "stopped", "failed", "updating", "destroying"],
  updating: ["starting", "stopping", "stopped", "created", "failed", "destroying"],
  destroying: ["destroyed"],
  destroyed: [],
};

export const MACHINE_STATES = [
  ...["creating", "created", "starting", "started", "stopping", "stopped"],
  ...["failed", "suspending", "suspended", "restarting", "updating", "destroying", "destroyed"],
] as const;

export type MachineState = (typeof MACHINE_STATES)[number];

export function nextStates(state: MachineState): readonly MachineState[] {
  return NEXT[state];
}

export function canMove(from: MachineState, to: MachineState): boolean {
  return nextStates(from).includes(to);
}

export function isStartable(state: MachineState): boolean {
  return state === "created" || state === "stopped" || state === "suspended" || state === "failed";
}

/** Whether a machine in this state runs, or is about to run again: a plain destroy is refused, and it may have a VM. */
export function isActive(state: MachineState): boolean {
  switch (state) {
    case "starting":
    case "started":
    case "stopping":
    case "suspending":
    case "restarting":
    case "updating":
      return true;
    default:
      return false;
  }
}
