import { beginRun } from "../health/readiness.ts";
import type { Change, Machine, PausedRun, SavedMachine, StopReason } from "../machine.ts";
import { move, type Stamp, withEvent } from "../stamp.ts";

/** Begins a save of a machine that runs. */
export function suspending(machine: Machine, why: StopReason, at: Stamp): Change {
  return withEvent(move(machine, "suspending", at), { type: "suspend", ...why }, at);
}

/** Records that a machine is saved: its VM is not needed any more. */
export function suspended(machine: Machine, saved: SavedMachine, at: Stamp): Change {
  const { vmId: _vm, ...rest } = move(machine, "suspended", at);
  const { runAtMs = at.nowMs, isReady, checks, busy, resumed: _resumed, ...ended } = rest;
  const health = { ...(isReady === undefined ? {} : { isReady }), ...(checks ? { checks } : {}) };
  const run: PausedRun = { runAtMs, pausedAtMs: at.nowMs, ...health, ...(busy ? { busy } : {}) };
  const next = { ...ended, saved: { ...saved, run } };
  return withEvent(next, { type: "suspend", source: "hostd" }, at);
}

/** Goes on with a run that was paused: the time of the pause does not count. */
export function continueRun(machine: Machine, { vmId, bytes, run }: SavedMachine, nowMs: number): Machine {
  const resumed = { ...machine, resumed: { vmId, bytes } };
  if (!run) return beginRun(resumed, nowMs);
  const { pausedAtMs, runAtMs, busy, ...health } = run;
  const later = (ms: number): number => ms + Math.max(0, nowMs - pausedAtMs);
  const times = busy ? { busy: { sinceMs: later(busy.sinceMs), untilMs: later(busy.untilMs) } } : {};
  return { ...resumed, ...health, ...times, runAtMs: later(runAtMs) };
}

/** Records that a machine was not saved, and goes on. */
export function suspendFailed(machine: Machine, reason: string, message: string, at: Stamp): Change {
  const event = { type: "failure", source: "hostd", reason, message } as const;
  return withEvent(move(machine, "started", at), event, at);
}

/** Records that hostd ended before a saved machine went on: it is as it was. A start by its schedule becomes due again. */
export function resumeInterrupted(machine: Machine, at: Stamp): Change {
  const { vmId: _vm, startCause, startCaller: _caller, ...rest } = move(machine, "suspended", at);
  const isDue = startCause === "schedule" && machine.scheduledAtMs !== undefined;
  const next = { ...rest, ...(isDue ? { scheduledAtMs: at.nowMs } : {}) };
  const then = isDue ? "it is started again" : "start it again";
  const message = `the host's daemon restarted before it went on; ${then}`;
  return withEvent(next, { type: "failure", source: "hostd", reason: "START_INTERRUPTED", message }, at);
}

/** Returns a machine whose saved VM is used up, or of no use any more. */
export function withoutSaved(machine: Machine): Machine {
  const { saved: _, ...rest } = machine;
  return rest;
}
