const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const second = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** Formats a time of the day; seconds where steps are shorter than a minute. */
export function clock(ms: number, stepMs = MINUTE): string {
  return (stepMs < MINUTE ? second : minute).format(ms);
}

/** Formats a time of the day with seconds. */
export function exactClock(ms: number): string {
  return second.format(ms);
}

/** Formats day and time. */
export function dayAndClock(ms: number): string {
  return `${day.format(ms)}, ${minute.format(ms)}`;
}

/** Formats a mark of a time axis that spans `spanMs`. */
export function timeTick(ms: number, spanMs: number): string {
  if (spanMs > 5 * DAY) return day.format(ms);
  return spanMs > DAY
    ? `${day.format(ms)} ${minute.format(ms)}`
    : clock(ms, spanMs < 5 * MINUTE ? 1 : MINUTE);
}

/** Formats a period: `14:00 to 15:00`, with days when it is not within one. */
export function period(fromMs: number, untilMs: number): string {
  const isLong = day.format(fromMs) !== day.format(untilMs);
  const format = isLong ? dayAndClock : untilMs - fromMs < 5 * MINUTE ? exactClock : clock;
  return `${format(fromMs)} to ${format(untilMs)}`;
}

/** Formats how long ago something was. */
export function ago(ms: number, nowMs: number): string {
  const minutes = Math.round((nowMs - ms) / MINUTE);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 60 / 24)} days ago`;
}

const UNITS = { ms: 1, s: 1_000, m: MINUTE, h: 60 * MINUTE, d: DAY } as const;

/** Reads a duration (`15m`, `1.5h`, `7d`) as milliseconds. */
export function readDuration(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  return found ? Number(found[1]) * UNITS[found[2] as keyof typeof UNITS] : undefined;
}

/** The last millisecond of a `Date`. */
export const MAX_MS = 8.64e15;

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

/** Reads RFC 3339, or milliseconds since the epoch. Undefined: it is none, or beyond what a `Date` can be. */
export function readInstant(text: string): number | undefined {
  const isCount = /^\d+(?:\.\d+)?$/.test(text);
  const ms = isCount ? Number(text) : RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  return ms >= 0 && ms <= MAX_MS ? ms : undefined;
}
