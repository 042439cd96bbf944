import { parseDuration } from "../../lib/config/duration.ts";
import { Violations } from "../../lib/faults/violations.ts";
import { KINDS, type Kind } from "../../lib/latency/operation.ts";
import { DIMENSIONS, type Dimension } from "../answers/operations.ts";
import { type Box, readBox, readDurationUs, readInstant } from "./values.ts";

/** Values of a dimension that are wanted, if any, and that are not. */
export interface Words {
  readonly included: ReadonlySet<string>;
  readonly excluded: ReadonlySet<string>;
}

/** What a query is about: the parameters of every query. */
export interface Filter {
  /** Undefined: all kinds. */
  readonly kind: Kind | undefined;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly words: ReadonlyMap<Dimension, Words>;
  readonly outcome: "ok" | "failed" | undefined;
  readonly minUs: number;
  readonly maxUs: number;
  readonly box: Box | undefined;
}

const DEFAULT_SINCE_MS = 3_600_000;
const MAX_RANGE_MS = 400 * 86_400_000;
const MAX_VALUES = 32;
const MAX_VALUE_LENGTH = 256;
const ONE_VALUE = ["kind", "since", "until", "outcome", "min", "max", "box"];
const KNOWN: ReadonlySet<string> = new Set([...ONE_VALUE, ...DIMENSIONS]);

/**
 * Reads the parameters of a query.
 *
 * @param own names of further parameters, which the caller reads
 * @param kind default
 * @throws Fault INVALID_ARGUMENT / `INVALID_FIELDS` with every wrong parameter
 */
export function readFilter(
  given: URLSearchParams,
  nowMs: number,
  own: readonly string[] = [],
  kind: Kind | undefined = "start",
): Filter {
  const violations = new Violations();
  const filter = collectFilter(given, nowMs, own, kind, violations, "");
  violations.throwIfAny();
  return filter;
}

/** Does the same, and adds what is wrong to `violations`. @param prefix of the names of fields */
export function collectFilter(
  given: URLSearchParams,
  nowMs: number,
  own: readonly string[],
  usual: Kind | undefined,
  violations: Violations,
  prefix: string,
): Filter {
  const known = [...ONE_VALUE, ...own];
  for (const name of new Set(given.keys())) {
    const values = given.getAll(name);
    const field = `${prefix}${name.slice(0, 64)}`;
    if (!KNOWN.has(name) && !own.includes(name)) violations.add(field, "is no parameter of this query");
    else if (known.includes(name) && values.length > 1) violations.add(field, "is given more than once");
    else if (values.length > MAX_VALUES) violations.add(field, `must be given at most ${MAX_VALUES} times`);
    else if (values.some((value) => value.length > MAX_VALUE_LENGTH) && !own.includes(name))
      violations.add(field, `must have at most ${MAX_VALUE_LENGTH} characters`);
  }
  const read = <T>(name: string, parse: (text: string) => T | undefined, right: string): T | undefined => {
    const text = given.get(name);
    if (text === null || text === "") return undefined;
    const value = parse(text);
    if (value === undefined) violations.add(`${prefix}${name}`, `must be ${right}`);
    return value;
  };
  const kind = read("kind", (text) => KIND_WORDS.get(text), `one of ${[...KIND_WORDS.keys()].join(", ")}`);
  const untilMs = read("until", readInstant, INSTANT) ?? nowMs;
  const since = (text: string) => {
    const back = parseDuration(text);
    return back === undefined ? readInstant(text) : untilMs - back;
  };
  const sinceMs =
    read("since", since, `a duration such as 15m, 1h or 7d, or ${INSTANT}`) ?? untilMs - DEFAULT_SINCE_MS;
  if (sinceMs >= untilMs) violations.add(`${prefix}since`, "must be before until");
  else if (untilMs - sinceMs > MAX_RANGE_MS)
    violations.add(`${prefix}since`, "must be at most 400 days before until");
  const outcome = read("outcome", (text) => OUTCOMES.find((each) => each === text), "ok or failed");
  const minUs = read("min", readDurationUs, DURATION) ?? 0;
  const maxUs = read("max", readDurationUs, DURATION) ?? Number.POSITIVE_INFINITY;
  if (minUs > maxUs) violations.add(`${prefix}min`, "must be at most max");
  const box = read("box", readBox, "FROM_MS,UNTIL_MS,MIN_US,MAX_US, each from before until, min before max");
  return {
    kind: kind === undefined ? usual : kind === "all" ? undefined : kind,
    ...{ sinceMs, untilMs, words: wordsOf(given), outcome, minUs, maxUs, box },
  };
}

const INSTANT = "an instant such as 2026-01-31T12:00:00Z, or milliseconds since the epoch";
const DURATION = "a duration such as 800us, 20ms or 1.5s";
const OUTCOMES = ["ok", "failed"] as const;
const KIND_WORDS = new Map<string, Kind | "all">([...KINDS, "all" as const].map((each) => [each, each]));

function wordsOf(given: URLSearchParams): ReadonlyMap<Dimension, Words> {
  const words = new Map<Dimension, Words>();
  for (const dimension of DIMENSIONS) {
    const values = given.getAll(dimension).slice(0, MAX_VALUES);
    if (values.length === 0) continue;
    const [excluded, included] = [true, false].map(
      (isExcluded) =>
        new Set(
          values
            .filter((each) => each.startsWith("!") === isExcluded)
            .map((each) => (isExcluded ? each.slice(1) : each)),
        ),
    );
    words.set(dimension, { included: included ?? new Set(), excluded: excluded ?? new Set() });
  }
  return words;
}
