import type { z } from "zod";
import { invalid, type Violation } from "../../../lib/faults/fault.ts";

/** Deeper JSON is refused: nobody needs it, and a message of the API cannot carry it. */
const MAX_DEPTH = 24;
/** Names of JSON members that JavaScript objects cannot carry safely. */
const FORBIDDEN = new Set(["__proto__"]);
const MAX_VIOLATIONS = 50;

/**
 * Reads the body or the query of a request by its schema.
 *
 * @param at name of the value in the paths of wrong fields; empty for a body
 * @throws Fault INVALID_FIELDS with every wrong field
 */
export function read<T extends z.ZodType>(schema: T, raw: unknown, at = ""): z.output<T> {
  const violations = [...hostileMembers(raw, at, 0)];
  const result = schema.safeParse(raw);
  if (!result.success) {
    for (const { path, message } of result.error.issues) {
      violations.push({ field: pathOf(at, path) || "body", description: message });
    }
  }
  if (violations.length > 0 || !result.success) throw invalid(violations.slice(0, MAX_VIOLATIONS));
  return result.data;
}

/** Yields the members that must not be: those with forbidden names, and those nested too deep. */
function* hostileMembers(value: unknown, at: string, depth: number): Generator<Violation> {
  if (typeof value !== "object" || value === null) return;
  if (depth > MAX_DEPTH) {
    yield { field: at, description: `must be nested at most ${MAX_DEPTH} deep` };
    return;
  }
  for (const [key, each] of Object.entries(value)) {
    const field = pathOf(at, [Array.isArray(value) ? Number(key) : key]);
    if (FORBIDDEN.has(key)) yield { field, description: "this name is not allowed" };
    else yield* hostileMembers(each, field, depth + 1);
  }
}

/** Writes a path as JavaScript would: `config.services[0].ports`, `config.env["a b"]`. */
function pathOf(at: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((before, key) => {
    if (typeof key === "number") return `${before}[${key}]`;
    const name = String(key);
    if (!/^[\w-]{1,128}$/.test(name)) return `${before}[${JSON.stringify(name.slice(0, 64))}]`;
    return before === "" ? name : `${before}.${name}`;
  }, at);
}
