import type { z } from "zod";
import { invalid, type Violation } from "../../../lib/faults/fault.ts";

/** Depth of a value; deeper ones are refused before the schema reads them, which would take long. */
const MAX_DEPTH = 24;
/** Depth of a value that is kept with a machine. */
const MAX_KEPT_DEPTH = 20;
const MAX_MEMBERS = 5_000;
/** Names of JSON members that JavaScript objects cannot carry safely. */
const FORBIDDEN = new Set(["__proto__"]);
const MAX_VIOLATIONS = 50;

/**
 * Reads the body or the query of a request by its schema.
 *
 * @param at name of the value in the paths of wrong fields; empty for a body
 * @param isKept whether the value is kept with a machine. Otherwise it may be nested deeper, and its
 *   texts may have NUL characters, as the input of a command may
 * @throws Fault INVALID_FIELDS with every wrong field
 */
export function read<T extends z.ZodType>(schema: T, raw: unknown, at = "", isKept = false): z.output<T> {
  const check = new HostileCheck(at, isKept);
  check.walk(raw);
  const { violations } = check;
  if (check.isTooLarge) throw invalid(violations);
  const result = schema.safeParse(raw);
  if (!result.success) {
    const named = new Set(violations.map(({ field }) => field));
    for (const { path, message } of result.error.issues.slice(0, MAX_VIOLATIONS)) {
      const field = pathOf(at, path) || "body";
      if (named.has(field)) continue;
      // One problem for each field: further ones follow from it, e.g. both bounds of a number.
      named.add(field);
      violations.push({ field, description: message });
    }
  }
  if (violations.length > 0 || !result.success) throw invalid(violations.slice(0, MAX_VIOLATIONS));
  return result.data;
}

/** Whether a value that is kept with a machine is refused before its schema reads it. */
export function isHostile(raw: unknown): boolean {
  const check = new HostileCheck("", true);
  check.walk(raw);
  return check.violations.length > 0;
}

/**
 * Finds members with forbidden names, nested too deep, too many. In what is kept: also text with NUL
 * characters, and numbers that are too large, which JSON's parser makes infinite.
 */
class HostileCheck {
  readonly violations: Violation[] = [];
  isTooLarge = false;
  readonly #at: string;
  readonly #isKept: boolean;
  readonly #maxDepth: number;
  readonly #path: (string | number)[] = [];
  #members = 0;

  constructor(at: string, isKept: boolean) {
    this.#at = at;
    this.#isKept = isKept;
    this.#maxDepth = isKept ? MAX_KEPT_DEPTH - 1 : MAX_DEPTH;
  }

  walk(value: unknown): void {
    if (typeof value === "string") this.#checkText(value);
    if (typeof value === "number" && this.#isKept && !Number.isFinite(value)) this.#add("is too large");
    if (typeof value !== "object" || value === null) return;
    if (this.#path.length > this.#maxDepth) {
      this.#add(`must be nested at most ${this.#isKept ? MAX_KEPT_DEPTH : MAX_DEPTH} deep`);
      return;
    }
    const isList = Array.isArray(value);
    for (const [key, each] of Object.entries(value)) {
      if (this.isTooLarge) return;
      if (++this.#members > MAX_MEMBERS) {
        this.isTooLarge = true;
        const description = `must have at most ${MAX_MEMBERS} members and entries in all`;
        this.violations.push({ field: this.#at || "body", description });
        return;
      }
      this.#path.push(isList ? Number(key) : key);
      if (!isList) this.#checkText(key);
      if (FORBIDDEN.has(key)) this.#add("this name is not allowed");
      else this.walk(each);
      this.#path.pop();
    }
  }

  #checkText(text: string): void {
    if (this.#isKept && text.includes("\0")) this.#add("must be text without NUL characters");
  }

  #add(description: string): void {
    if (this.violations.length >= MAX_VIOLATIONS) return;
    this.violations.push({ field: pathOf(this.#at, this.#path) || "body", description });
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
