import type { Change, Machine } from "../machine.ts";
import { nextGeneration, type Stamp } from "../stamp.ts";

const DEFAULT_MAX_BUSY_MS = 60 * 60_000;
/** A program that is not busy for so long begins a new row. */
const ROW_ENDS_AFTER_MS = 60_000;
/** Smaller changes are not stored. */
const RESOLUTION_MS = 1_000;

/** Returns until when the program of a machine that runs is busy; undefined: it is not. */
export function busyUntilMs({ state, busy }: Machine, nowMs: number): number | undefined {
  return state === "started" && busy && busy.untilMs > nowMs ? busy.untilMs : undefined;
}

/**
 * Records until when the program says that it is busy, at most for `max_busy` in a row; now or
 * earlier: it is not. Undefined: nothing changes.
 */
export function withBusy(machine: Machine, untilMs: number, at: Stamp): Change | undefined {
  const { busy, spec } = machine;
  const isSameRow = busy !== undefined && busy.untilMs + ROW_ENDS_AFTER_MS > at.nowMs;
  const sinceMs = isSameRow ? busy.sinceMs : at.nowMs;
  const latestMs = sinceMs + (spec.config.maxBusyMs ?? DEFAULT_MAX_BUSY_MS);
  const nextMs = Math.max(at.nowMs, Math.min(untilMs, latestMs));
  const beforeMs = Math.max(at.nowMs, busy?.untilMs ?? 0);
  if (nextMs === beforeMs || (nextMs > at.nowMs && Math.abs(nextMs - beforeMs) < RESOLUTION_MS))
    return undefined;
  return { machine: { ...nextGeneration(machine, at), busy: { sinceMs, untilMs: nextMs } } };
}
