import { Fault } from "../../../lib/faults/fault.ts";
import type { Machine } from "../machine.ts";
import { isMove } from "../stamp.ts";
import type { MachineState } from "../states.ts";

/** Operations on a machine that no call asks for. */
export interface Ahead {
  /** The create under way will start it. */
  readonly launchIsComing: boolean;
  /** Its policy restarts it. */
  readonly restarts: boolean;
  /** Its schedule starts it. */
  readonly isScheduled: boolean;
  readonly autoDestroy: boolean;
}

/** The states that follow each state without another call about the machine. */
const WITHOUT_A_CALL: Readonly<Record<MachineState, (ahead: Ahead) => readonly MachineState[]>> = {
  // The create is still under way: it prepares the machine, or undoes itself.
  creating: () => ["created", "destroying"],
  created: ({ launchIsComing, isScheduled }) => [
    ...(launchIsComing ? (["starting", "destroying"] as const) : []),
    ...startedBySchedule(isScheduled),
  ],
  // Also the end of an update or a restart, which may fail in other ways than a start.
  starting: ({ restarts }) => [
    "started",
    "failed",
    "stopped",
    ...(restarts ? (["restarting"] as const) : []),
  ],
  started: ({ restarts }) => ["stopped", ...(restarts ? (["restarting"] as const) : [])],
  stopping: () => ["stopped"],
  stopped: ({ autoDestroy, isScheduled }) => [
    ...(autoDestroy ? (["destroying"] as const) : []),
    ...startedBySchedule(isScheduled),
  ],
  suspending: () => ["suspended", "started"],
  suspended: ({ isScheduled }) => startedBySchedule(isScheduled),
  failed: ({ isScheduled }) => startedBySchedule(isScheduled),
  restarting: () => ["starting", "stopped", "failed"],
  updating: () => ["starting", "created", "stopped", "failed"],
  destroying: () => ["destroyed"],
  destroyed: () => [],
};

/** The conditions of a wait. */
export interface Awaited {
  readonly states: readonly MachineState[];
  /** Whether it is over, too, when the machine is ready. Absent: no. */
  readonly ready?: boolean;
  /** Whether it is over, too, when another version has taken the place of `instanceId`. */
  readonly replaced: boolean;
  /** Version of the machine; empty: any. */
  readonly instanceId: string;
  /** Only what happens after this event counts; empty: the present state counts too. */
  readonly afterEventId: string;
}

export type WaitDecision =
  | { readonly kind: "done" }
  | { readonly kind: "wait" }
  | { readonly kind: "fail"; readonly fault: Fault };

/** Decides whether a wait is done, continues, or fails because its states cannot be reached. */
export function decideWait(machine: Machine, awaited: Awaited, nowMs: number): WaitDecision {
  const { states, instanceId } = awaited;
  if (instanceId !== "" && instanceId !== machine.spec.instanceId) {
    if (instanceId === mayComeBack(machine)) return { kind: "wait" };
    return awaited.replaced ? { kind: "done" } : { kind: "fail", fault: replaced(machine, awaited) };
  }
  if (hasHappened(machine, awaited) || hasBecomeReady(machine, awaited)) return { kind: "done" };
  const ahead = reachableFrom(machine, nowMs);
  const mayBeReady = awaited.ready && (machine.state === "started" || ahead.has("started"));
  const mayCome = awaited.replaced || mayBeReady || states.some((state) => ahead.has(state));
  return mayCome ? { kind: "wait" } : { kind: "fail", fault: unreachable(machine, wantedOf(awaited)) };
}

/** Returns the version that comes back when the present one, which does not count yet, fails. */
export function mayComeBack({ spec, update }: Machine): string | undefined {
  if (update?.rollbackWithinMs === undefined || !update.launch || update.isRollback) return undefined;
  return spec.previous?.instanceId;
}

/** Whether a machine is in a state that is waited for, or has been in it after the event. */
function hasHappened({ state, events }: Machine, { states, afterEventId }: Awaited): boolean {
  if (afterEventId === "") return states.includes(state);
  // A cordon has the state beside which it happened.
  const moves = events.filter(isMove);
  const [newest] = moves;
  // Some states have no event: they come after the newest.
  const isLater = newest !== undefined && newest.status !== state && newest.id >= afterEventId;
  return (
    (isLater && states.includes(state)) ||
    moves.some(({ id, status }) => id > afterEventId && states.includes(status))
  );
}

function hasBecomeReady({ state, isReady, events }: Machine, { ready, afterEventId }: Awaited): boolean {
  if (!ready || state !== "started" || !isReady) return false;
  // A machine without anything to wait for is ready with its start.
  const makesReady = (type: string) => type === "ready" || type === "start";
  return afterEventId === "" || events.some(({ id, type }) => makesReady(type) && id > afterEventId);
}

/** Returns what a wait is for, in words of the contract. */
export function wantedOf({ states, ready = false }: Awaited): readonly string[] {
  return ready ? [...states, "ready"] : states;
}

/** Returns the states that follow without another call. */
export function reachableFrom(machine: Machine, nowMs: number): ReadonlySet<MachineState> {
  const { restart, autoDestroy = false } = machine.spec.config;
  return reachable(machine.state, {
    launchIsComing: (machine.launchUntilMs ?? 0) > nowMs,
    restarts:
      restart?.policy === "always" || restart?.policy === "on-failure" || machine.update !== undefined,
    isScheduled: machine.scheduledAtMs !== undefined,
    autoDestroy,
  });
}

/** Returns the states that follow, directly or not. */
export function reachable(state: MachineState, ahead: Ahead): ReadonlySet<MachineState> {
  const found = new Set<MachineState>();
  const visit = (from: MachineState): void => {
    for (const to of WITHOUT_A_CALL[from](ahead)) {
      if (found.has(to)) continue;
      found.add(to);
      visit(to);
    }
  };
  visit(state);
  return found;
}

export function waitTimeout(machine: Machine, states: readonly string[], timeoutMs: number): Fault {
  return new Fault(
    "DEADLINE_EXCEEDED",
    "WAIT_TIMEOUT",
    `machine ${machine.id} is ${machine.state} and did not become ${states.join(" or ")} within ${timeoutMs} ms`,
    { machine_id: machine.id, state: machine.state, states: states.join(","), timeout_ms: String(timeoutMs) },
  );
}

function startedBySchedule(isScheduled: boolean): readonly MachineState[] {
  return isScheduled ? ["starting"] : [];
}

function unreachable(machine: Machine, states: readonly string[]): Fault {
  return new Fault(
    "FAILED_PRECONDITION",
    "STATE_UNREACHABLE",
    `machine ${machine.id} is ${machine.state} and will not become ${states.join(" or ")} without another call`,
    { machine_id: machine.id, state: machine.state, states: states.join(",") },
  );
}

function replaced({ id, spec }: Machine, awaited: Awaited): Fault {
  const { instanceId } = awaited;
  const states = wantedOf(awaited);
  return new Fault(
    "FAILED_PRECONDITION",
    "REPLACED",
    `version ${instanceId} of machine ${id} failed to reach ${states.join(" or ")}: it is currently replaced by ${spec.instanceId}`,
    { machine_id: id, instance_id: spec.instanceId, states: states.join(",") },
  );
}
