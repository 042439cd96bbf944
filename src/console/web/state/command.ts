import { DIMENSIONS, type Dimension } from "../../answers/operations.ts";
import { type Box, EMPTY_FILTER, type Filter } from "./view.ts";

/** Names of options that are not those of the parameters. */
const OPTIONS: Partial<Record<Dimension, string>> = { version: "hover-version" };

/** Writes the command that answers in a terminal what a view shows. */
export function latencyCommand(filter: Filter, by?: Dimension): string {
  const { kind, since, until, outcome, min, max, values } = filter.box ? inBox(filter, filter.box) : filter;
  const options: string[] = [];
  const add = (name: string, value: string) => options.push(`--${name} ${quoted(value)}`);
  if (kind !== EMPTY_FILTER.kind) add("kind", kind);
  add("since", since);
  if (until !== "") add("until", until);
  for (const dimension of DIMENSIONS) {
    for (const value of values[dimension] ?? []) add(OPTIONS[dimension] ?? dimension, value);
  }
  if (outcome !== "") add("outcome", outcome);
  if (min !== "") add("min", min);
  if (max !== "") add("max", max);
  if (by) add("by", by);
  return ["hover latency", ...options].join(" ");
}

/** Writes the command that compares two sets, given as parameters. */
export function compareCommand(a: string, b: string): string {
  return `hover latency compare ${quoted(decoded(a))} ${quoted(decoded(b))}`;
}

/** Returns the filter of what is in the box. */
export function inBox(filter: Filter, { fromMs, untilMs, minUs, maxUs }: Box): Filter {
  return {
    ...filter,
    since: new Date(Math.round(fromMs)).toISOString(),
    until: new Date(Math.round(untilMs)).toISOString(),
    min: `${Math.round(minUs)}us`,
    max: `${Math.round(maxUs)}us`,
    box: undefined,
  };
}

/** Quotes what a shell would take apart. */
export function quoted(value: string): string {
  return /^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** Parameters as people write them: `since=1h&host=a` keeps its meaning without most escapes. */
function decoded(parameters: string): string {
  return parameters.replaceAll("%3A", ":").replaceAll("%21", "!").replaceAll("%2F", "/");
}
