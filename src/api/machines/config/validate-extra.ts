import { type Check, isPlain, PLAIN } from "./text.ts";

/** Each level takes three of the 100 that a message may be nested. */
const MAX_DEPTH = 20;

/** Checks that what a client keeps with its configuration is plain JSON. Its meaning is not checked. */
export function checkExtra(extra: Readonly<Record<string, unknown>>, check: Check): void {
  const problem = problemOf(extra, 1);
  check(problem === undefined, "extra", problem ?? "");
}

/** Returns the first thing that is wrong; undefined when there is none. */
function problemOf(value: unknown, depth: number): string | undefined {
  switch (typeof value) {
    case "string":
      return isPlain(value) ? undefined : PLAIN;
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : "must have no numbers that JSON cannot have";
    case "object": {
      if (value === null) return undefined;
      if (depth > MAX_DEPTH) return `must not be nested deeper than ${MAX_DEPTH}`;
      return Array.isArray(value) ? problemOfAll(value, depth) : problemOfObject(value, depth);
    }
    default:
      return "must be JSON: an entry has no value";
  }
}

function problemOfObject(value: object, depth: number): string | undefined {
  // A member of this name replaces the prototype when the message is decoded.
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return "must have no member named __proto__";
  return Object.keys(value).every(isPlain) ? problemOfAll(Object.values(value), depth) : PLAIN;
}

function problemOfAll(values: readonly unknown[], depth: number): string | undefined {
  for (const value of values) {
    const problem = problemOf(value, depth + 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
