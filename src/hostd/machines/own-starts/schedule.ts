import type { Change, Machine } from "../machine.ts";
import { nextGeneration, type Stamp, withEvent } from "../stamp.ts";

const HOUR_MS = 60 * 60_000;
const PERIODS_MS: Readonly<Record<string, number>> = {
  hourly: HOUR_MS,
  daily: 24 * HOUR_MS,
  weekly: 7 * 24 * HOUR_MS,
};

/** Pause before a refused start is tried again. */
const RETRY_MS = 30_000;

/**
 * Returns the first start of a schedule after a time; undefined without a schedule. A month is one of the calendar (UTC), and ends
 * with its last day when it is shorter than the day of the creation.
 */
export function nextScheduled(
  schedule: string | undefined,
  createdAtMs: number,
  afterMs: number,
): number | undefined {
  if (schedule === "monthly") return nextMonth(createdAtMs, afterMs);
  const period = PERIODS_MS[schedule ?? ""];
  if (period === undefined) return undefined;
  const passed = Math.max(0, Math.floor((afterMs - createdAtMs) / period));
  return createdAtMs + (passed + 1) * period;
}

/** Passes over a start that is due: the machine runs, or may not be started. */
export function scheduleSkipped(machine: Machine, at: Stamp): Change | undefined {
  return machine.scheduledAtMs === undefined
    ? undefined
    : { machine: advanced(nextGeneration(machine, at), at.nowMs) };
}

/** Records that a start that was due was refused. It is tried again until the next one is due. */
export function scheduleRefused(
  machine: Machine,
  reason: string,
  message: string,
  at: Stamp,
): Change | undefined {
  const { scheduledAtMs, spec } = machine;
  if (scheduledAtMs === undefined) return undefined;
  const regularMs =
    nextScheduled(spec.config.schedule, spec.createdAtMs, at.nowMs) ?? Number.POSITIVE_INFINITY;
  const next = { ...nextGeneration(machine, at), scheduledAtMs: Math.min(regularMs, at.nowMs + RETRY_MS) };
  const isFirst = nextScheduled(spec.config.schedule, spec.createdAtMs, scheduledAtMs - 1) === scheduledAtMs;
  return isFirst
    ? withEvent(next, { type: "failure", source: "hostd", reason, message }, at)
    : { machine: next };
}

/** Sets the start that follows those due by now. */
export function advanced(machine: Machine, nowMs: number): Machine {
  if (machine.scheduledAtMs === undefined || machine.scheduledAtMs > nowMs) return machine;
  const { scheduledAtMs: _, ...rest } = machine;
  const { config, createdAtMs } = machine.spec;
  const next = nextScheduled(config.schedule, createdAtMs, nowMs);
  return next === undefined ? rest : { ...rest, scheduledAtMs: next };
}

function nextMonth(createdAtMs: number, afterMs: number): number {
  const [created, after] = [new Date(createdAtMs), new Date(Math.max(afterMs, createdAtMs))];
  const between =
    (after.getUTCFullYear() - created.getUTCFullYear()) * 12 + after.getUTCMonth() - created.getUTCMonth();
  for (let months = Math.max(1, between); ; months += 1) {
    const at = monthsAfter(created, months);
    if (at > afterMs) return at;
  }
}

function monthsAfter(created: Date, months: number): number {
  const [year, month] = [created.getUTCFullYear(), created.getUTCMonth() + months];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const at = new Date(created);
  at.setUTCFullYear(year, month, Math.min(created.getUTCDate(), lastDay));
  return at.getTime();
}
