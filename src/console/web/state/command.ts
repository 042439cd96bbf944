import { DIMENSIONS, type Dimension } from "../../answers.ts";
import { EMPTY_FILTER, type Filter, writeBox } from "./view.ts";

/** Writes the command that answers in a terminal what a view shows. */
export function latencyCommand(filter: Filter, by?: Dimension): string {
  const options: string[] = [];
  const add = (name: string, value: string) => options.push(`--${name} ${quoted(value)}`);
  if (filter.kind !== EMPTY_FILTER.kind) add("kind", filter.kind);
  add("since", filter.since);
  if (filter.until !== "") add("until", filter.until);
  for (const dimension of DIMENSIONS) {
    for (const value of filter.values[dimension] ?? []) add(dimension, value);
  }
  for (const name of ["outcome", "min", "max"] as const) if (filter[name] !== "") add(name, filter[name]);
  if (filter.box) add("box", writeBox(filter.box));
  if (by) add("by", by);
  return ["hover latency", ...options].join(" ");
}

/** Quotes what a shell would take apart. */
export function quoted(value: string): string {
  return /^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
