import type { HrTime, Span } from "@opentelemetry/api";

/** Returns the wall-clock time in microseconds since the epoch, finer than its whole milliseconds, as spans have it. */
export function nowUs(): number {
  return Math.floor(1_000 * clockMs());
}

/** Returns the start of a span, in microseconds since the epoch; undefined for one that is not recorded. */
export function startOf(span: Span): number | undefined {
  return span.isRecording() && "startTime" in span && isHrTime(span.startTime)
    ? us(span.startTime)
    : undefined;
}

/** Returns start and end of an ended span, in microseconds since the epoch; undefined for one that is not recorded. */
export function timesOf(span: Span): { readonly startUs: number; readonly endUs: number } | undefined {
  if (!("startTime" in span && "endTime" in span)) return undefined;
  const { startTime, endTime } = span;
  return isHrTime(startTime) && isHrTime(endTime)
    ? { startUs: us(startTime), endUs: us(endTime) }
    : undefined;
}

/** What {@link clockMs} may differ from the wall clock by. */
const CLOCK_ERROR_MS = 0.5;

/** What {@link clockMs} adds to `performance.now()`. */
let clockOffsetMs = performance.timeOrigin;

/**
 * Returns the wall-clock time in milliseconds, with fractions. Goes back only after the wall clock
 * was set, or has drifted away.
 */
function clockMs(): number {
  const beforeMs = performance.now();
  const wallMs = Date.now();
  const nowMs = performance.now();
  // The process may have been held up between two of these, so both bounds count.
  const isBehind = clockOffsetMs + nowMs < wallMs - CLOCK_ERROR_MS;
  const isAhead = clockOffsetMs + beforeMs > wallMs + 1 + CLOCK_ERROR_MS;
  if (isBehind || isAhead) clockOffsetMs = wallMs + 0.5 - (beforeMs + nowMs) / 2;
  return clockOffsetMs + nowMs;
}

/**
 * Makes the start and the end of a span exact. The SDK cuts the start down to whole milliseconds;
 * in a start of forty, spans would be off by up to one.
 */
export function timeExactly(span: Span): void {
  if (!("startTime" in span) || !isHrTime(span.startTime)) return;
  [span.startTime[0], span.startTime[1]] = hrTimeOfMs(clockMs());
  const offsetMs = clockOffsetMs;
  const end = span.end.bind(span);
  span.end = (time) => end(time ?? hrTimeOfMs(offsetMs + performance.now()));
}

function hrTimeOfMs(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
}

function us([seconds, nanos]: HrTime): number {
  return seconds * 1e6 + nanos / 1e3;
}

function isHrTime(time: unknown): time is HrTime {
  return Array.isArray(time) && time.length === 2;
}

/** Converts microseconds since the epoch. */
export function hrTime(us: number | bigint): HrTime {
  // Up to the year 2255.
  const whole = Math.round(Number(us));
  const seconds = Math.floor(whole / 1e6);
  return [seconds, (whole - seconds * 1e6) * 1_000];
}
