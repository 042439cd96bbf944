const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// biome-ignore format: a list of numbers reads better dense
const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE,
  15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY,
];
/** Columns of a diagram over time. */
const MAX_COLUMNS = 120;

/** Columns of equal length over a period, which begin at multiples of that. */
export interface TimeSteps {
  readonly stepMs: number;
  readonly firstMs: number;
  readonly count: number;
}

/** Divides a period. @param leastMs shortest step */
export function timeSteps(sinceMs: number, untilMs: number, leastMs = 0): TimeSteps {
  const fits = (step: number) => step >= leastMs && Math.ceil((untilMs - sinceMs) / step) <= MAX_COLUMNS;
  const stepMs = STEPS.find(fits) ?? 7 * DAY;
  const firstMs = Math.floor(sinceMs / stepMs) * stepMs;
  return { stepMs, firstMs, count: Math.max(1, Math.ceil((untilMs - firstMs) / stepMs)) };
}

/** Returns the number of the column that an instant is in. */
export function columnOf({ stepMs, firstMs }: TimeSteps, ms: number): number {
  return Math.floor((ms - firstMs) / stepMs);
}

export function timeOf({ stepMs, firstMs }: TimeSteps, column: number): number {
  return firstMs + column * stepMs;
}
