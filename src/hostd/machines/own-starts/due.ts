import type { Machine } from "../machine.ts";
import { isActive, isStartable } from "../states.ts";
import { MAX_PAUSE_MS } from "./restarts.ts";

/** An operation on a machine that no call asks for, and its time. */
export interface Due {
  /** On the wall clock; 0: at once. */
  readonly atMs: number;
  readonly what: "policy" | "restart" | "update" | "ready" | "schedule" | "destroy";
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
  const { state, vmId, restartAtMs, scheduledAtMs, update } = machine;
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
  const isScheduled = scheduledAtMs !== undefined && (isStartable(state) || isActive(state));
  return isScheduled ? { atMs: scheduledAtMs, what: "schedule" } : undefined;
}

/** Returns when a machine is started next without a call; undefined when that is not known, or never. */
export function nextStartMs(machine: Machine): number | undefined {
  if (machine.state === "restarting" && machine.restartAtMs !== undefined) return machine.restartAtMs;
  return machine.scheduledAtMs;
}

/** Whether a machine is to destroy itself: its process has ended, and nothing starts it again. */
function isFinished({ state, spec, events, lastStartTraceId }: Machine): boolean {
  if (state !== "stopped" || !spec.config.autoDestroy) return false;
  const last = events.find(({ type }) => type !== "cordon" && type !== "uncordon");
  const isOver = last?.type === "exit" || last?.type === "stop";
  // A stop of a machine that was never started ends nothing.
  const hasStarted =
    lastStartTraceId !== "" || events.some(({ type }) => type === "start" || type === "exit");
  return isOver && hasStarted && last.instanceId === spec.instanceId;
}
