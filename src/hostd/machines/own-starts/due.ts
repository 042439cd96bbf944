import type { Machine } from "../machine.ts";
import { isMove } from "../stamp.ts";
import { isActive, isStartable } from "../states.ts";
import { MAX_PAUSE_MS } from "./restarts.ts";

/** An operation on a machine that no call asks for, and its time. */
export interface Due {
  /** On the wall clock; 0: at once. */
  readonly atMs: number;
  readonly what: "policy" | "restart" | "update" | "ready" | "schedule" | "destroy" | "lifetime";
  /** Longest time that it can be ahead. Absent: any. */
  readonly withinMs?: number;
}

/** Returns how long it is until something is due. A clock that was set back does not hold it up. */
export function leftMs({ atMs, withinMs = Number.POSITIVE_INFINITY }: Due, nowMs: number): number {
  const left = atMs - nowMs;
  return left > withinMs ? 0 : left;
}

/**
 * Returns what is due next for a machine that no operation is under way on. Derived from what is
 * stored, so it survives restarts.
 */
export function nextDue(machine: Machine): Due | undefined {
  const { state, vmId, restartAtMs, scheduledAtMs, update, spec } = machine;
  if (vmId === undefined) {
    if (state === "restarting")
      return restartAtMs === undefined
        ? { atMs: 0, what: "restart" }
        : { atMs: restartAtMs, what: "policy", withinMs: MAX_PAUSE_MS };
    if (state === "updating") return { atMs: 0, what: "update" };
    if (isFinished(machine)) return { atMs: 0, what: "destroy" };
  }
  if (state === "started" && update?.readyAtMs !== undefined)
    return { atMs: update.readyAtMs, what: "ready", withinMs: update.rollbackWithinMs ?? 0 };
  const endMs = lifetimeEndMs(machine);
  const isScheduled = scheduledAtMs !== undefined && (isStartable(state) || isActive(state));
  if (endMs !== undefined && !(isScheduled && scheduledAtMs < endMs))
    return { atMs: endMs, what: "lifetime", withinMs: spec.config.maxLifetimeMs ?? 0 };
  return isScheduled ? { atMs: scheduledAtMs, what: "schedule" } : undefined;
}

/** Returns when a machine is started next without a call; undefined when that is not known, or never. */
export function nextStartMs(machine: Machine): number | undefined {
  if (machine.state === "restarting" && machine.restartAtMs !== undefined) return machine.restartAtMs;
  return machine.scheduledAtMs;
}

/** Returns when a machine is stopped because its run has lasted long enough; undefined: never. */
export function lifetimeEndMs({ state, runAtMs, spec }: Machine): number | undefined {
  const { maxLifetimeMs = 0 } = spec.config;
  return state !== "started" || runAtMs === undefined || maxLifetimeMs === 0
    ? undefined
    : runAtMs + maxLifetimeMs;
}

/** Whether a machine is to destroy itself: its process has ended, and nothing starts it again. */
function isFinished({ state, spec, events, lastStartTraceId }: Machine): boolean {
  if (state !== "stopped" || !spec.config.autoDestroy) return false;
  const last = events.find(isMove);
  const isOver = last?.type === "exit" || last?.type === "stop";
  // A stop of a machine that was never started ends nothing.
  const hasStarted =
    lastStartTraceId !== "" || events.some(({ type }) => type === "start" || type === "exit");
  return isOver && hasStarted && last.instanceId === spec.instanceId;
}
