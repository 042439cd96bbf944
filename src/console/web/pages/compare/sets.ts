import { readDuration, readInstant } from "../../format/time.ts";
import { EMPTY_FILTER, type Filter, readFilter, writeFilter } from "../../state/view.ts";

/** Two sets of operations to compare: parameters, URL-encoded. */
export interface Sets {
  readonly a: string;
  readonly b: string;
}

const USUAL_PERIOD_MS = 3_600_000;

/** The period of a filter, in milliseconds since the epoch. In place of one that cannot be read, the last hour. */
export function periodOf(
  { since, until }: Filter,
  nowMs: number,
): readonly [fromMs: number, untilMs: number] {
  const untilMs = until === "" ? nowMs : readInstant(until);
  const back = readDuration(since);
  const fromMs = back === undefined || untilMs === undefined ? readInstant(since) : untilMs - back;
  const isRight = fromMs !== undefined && untilMs !== undefined && fromMs >= 0 && fromMs < untilMs;
  return isRight ? [fromMs, untilMs] : [nowMs - USUAL_PERIOD_MS, nowMs];
}

/** Compares the period that is looked at with the one as long before it. */
export function withPeriodBefore(filter: Filter, nowMs: number): Sets {
  const [fromMs, untilMs] = periodOf(filter, nowMs);
  return byPeriods(filter, [fromMs - (untilMs - fromMs), fromMs], [fromMs, untilMs]);
}

/** Compares what came after an instant with what came before it, within the period. */
export function aroundInstant(filter: Filter, instantMs: number, nowMs: number): Sets {
  const [fromMs, untilMs] = periodOf(filter, nowMs);
  return byPeriods(filter, [fromMs, instantMs], [instantMs, untilMs]);
}

/** Compares one value of an attribute with another, or with all others. */
export function byValues(
  filter: Filter,
  dimension: "host" | "version" | "image" | "path" | "size",
  a: string,
  b: string,
): Sets {
  const of = (value: string) =>
    writeFilter({ ...filter, box: undefined, values: { ...filter.values, [dimension]: [value] } }).toString();
  return { a: of(a), b: of(b) };
}

type Period = readonly [fromMs: number, untilMs: number];

function byPeriods(filter: Filter, a: Period, b: Period): Sets {
  const of = ([fromMs, untilMs]: Period) =>
    writeFilter({
      ...filter,
      box: undefined,
      since: new Date(Math.round(fromMs)).toISOString(),
      until: new Date(Math.round(untilMs)).toISOString(),
    }).toString();
  return { a: of(a), b: of(b) };
}

/** Names two sets by what differs between them. */
export function namesOf({ a, b }: Sets): readonly [string, string] {
  const [first, second] = [a, b].map((text) => readFilter(new URLSearchParams(text)));
  if (!first || !second) return ["A", "B"];
  return [describe(first, second), describe(second, first)];
}

function describe(filter: Filter, other: Filter): string {
  const parts: string[] = [];
  if (filter.kind !== other.kind) parts.push(filter.kind === "all" ? "all operations" : `${filter.kind}s`);
  for (const [dimension, values] of Object.entries(filter.values)) {
    const others = other.values[dimension as keyof Filter["values"]] ?? [];
    if (values.join() !== others.join())
      parts.push(
        values.map((value) => (value.startsWith("!") ? `all but ${value.slice(1)}` : value)).join(" or "),
      );
  }
  if (filter.outcome !== other.outcome && filter.outcome !== "") parts.push(filter.outcome);
  if (filter.since !== other.since || filter.until !== other.until) parts.push(describePeriod(filter));
  return parts.join(", ") || describePeriod(filter);
}

function describePeriod({ since, until }: Filter): string {
  if (since === EMPTY_FILTER.since && until === "") return "the last hour";
  const short = (text: string) => {
    const ms = readInstant(text);
    return ms !== undefined
      ? new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
      : text;
  };
  if (readDuration(since) !== undefined)
    return until === "" ? `the last ${since}` : `${since} until ${short(until)}`;
  return `${short(since)} to ${until === "" ? "now" : short(until)}`;
}
