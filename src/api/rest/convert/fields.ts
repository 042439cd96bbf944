import { z } from "zod";
import { signalName, signalNumber } from "../../../lib/signals/signals.ts";
import { formatDuration, parseDuration } from "./duration.ts";
import { isObject, type JsonObject } from "./json.ts";

/**
 * Makes the members of the schemas of requests. They take what the encoders of published clients send:
 * null and, where it has no meaning, empty text count as absent; numbers may be text.
 */

const NS_PER_MS = 1e6;
/** Go counts nanoseconds in 64-bit integers. */
const MAX_NS = 2 ** 63;
/** Name of the only member of a duration in Fly's OpenAPI document. */
const WRAPPED = "time.Duration";
const TRUE = new Set(["true", "1", "t"]);
const FALSE = new Set(["false", "0", "f"]);

type Optional<T extends z.ZodType> = z.ZodOptional<z.ZodPreprocess<z.ZodOptional<T>>>;

/** Makes a member that may be absent, and reads it with `read` before it is checked. */
function member<T extends z.ZodType>(schema: T, read: (raw: unknown) => unknown): Optional<T> {
  return z.preprocess((raw) => (raw === null ? undefined : read(raw)), schema.optional()).optional();
}

/** Reads text. */
export function text(description?: string) {
  const schema = z.string({ error: "must be text" });
  return member(description === undefined ? schema : schema.describe(description), (raw) => raw);
}

/** Reads a whole number, also as text. */
export function integer(min = 0, max = Number.MAX_SAFE_INTEGER) {
  const isBounded = max !== Number.MAX_SAFE_INTEGER;
  const error = isBounded ? `must be ${min} to ${max}` : `must be at least ${min}`;
  const tooLarge = isBounded ? error : "is too large";
  const whole = z.int({ error: ({ code }) => (code === "too_big" ? tooLarge : "must be a whole number") });
  return member(whole.min(min, { error }).max(max, { error: tooLarge }), readNumber);
}

/** Reads a number, also as text. */
export function number() {
  return member(z.number({ error: "must be a number" }), readNumber);
}

/** Reads seconds: a number, also as text, or text with a unit such as `30s`. Returns a number. */
export function seconds(max = Number.MAX_SAFE_INTEGER) {
  const bounds = max === Number.MAX_SAFE_INTEGER ? "" : `, 0 to ${max},`;
  const error = `must be seconds${bounds} or a duration such as "30s"`;
  const schema = z.number({ error }).min(0, { error }).max(max, { error });
  return member(schema, (raw) => {
    const value = readNumber(raw);
    return typeof value === "string" ? (secondsOf(value) ?? value) : value;
  });
}

/** Reads true or false, also as text or as 1 and 0. */
export function flag() {
  return member(z.boolean({ error: "must be true or false" }), (raw) => {
    if (raw === 0 || raw === 1) return raw === 1;
    if (typeof raw !== "string") return raw;
    if (raw === "") return undefined;
    const lower = raw.toLowerCase();
    return TRUE.has(lower) ? true : FALSE.has(lower) ? false : raw;
  });
}

/** Reads true or false, and nothing else. */
export function strictFlag() {
  return member(z.boolean({ error: "must be true or false" }), (raw) => raw);
}

/** Reads a parameter of a query that is true when it has no value. */
export function queryFlag() {
  return member(z.boolean({ error: "must be true or false" }), (raw) => {
    if (typeof raw !== "string") return raw;
    const lower = raw.toLowerCase();
    return raw === "" || TRUE.has(lower) ? true : FALSE.has(lower) ? false : raw;
  });
}

const NEEDED = new WeakSet<object>();

/** Marks a member as required in the documentation. The reader of the request checks that it is there. */
export function needed<T extends z.ZodType>(schema: T): T {
  NEEDED.add(schema);
  return schema;
}

/** Returns the names of the members that a request must have. */
export function neededNames(shape: z.core.$ZodShape): readonly string[] {
  return Object.keys(shape).filter((name) => NEEDED.has(Object(shape[name])));
}

const REPEATED = new WeakSet<object>();

/** Takes a parameter of a query that may come several times, as it arrived. */
export function repeated(description: string) {
  const schema = z.unknown().optional().meta({ type: "string", description });
  REPEATED.add(schema);
  return schema;
}

/** Returns a query in which of each other parameter the last value counts. */
export function lastValues(
  query: Readonly<Record<string, unknown>>,
  { shape }: z.ZodObject,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => {
      const field: unknown = Object.hasOwn(shape, name) ? shape[name] : undefined;
      const isSingle = typeof field === "object" && field !== null && !REPEATED.has(field);
      return [name, isSingle && Array.isArray(value) ? value.at(-1) : value];
    }),
  );
}

/** Reads a duration as Go writes it, e.g. `1m30s`, or a number of nanoseconds. Returns Go's text. */
export function duration() {
  return member(durationText(), durationOf);
}

/** Reads a duration; text without a unit counts seconds, as Fly documents for a restart. */
export function durationOrSeconds() {
  return member(durationText(), (raw) =>
    typeof raw === "string" && /^\d+$/.test(raw) ? `${raw}s` : durationOf(raw),
  );
}

/**
 * Reads a duration in a query: as Go writes it, or seconds. Returns Go's text.
 *
 * @param negative whether one below zero is taken: its reader has a range of its own
 * @param nanoseconds whether a number too large for seconds counts nanoseconds
 */
export function queryDuration({ negative = false, nanoseconds = false } = {}) {
  return member(durationText(negative), (raw) => {
    if (typeof raw !== "string" || !/^-?\d+(\.\d+)?$/.test(raw)) return raw === "" ? undefined : raw;
    const count = Number(raw);
    return formatDuration(nanoseconds && count >= NS_PER_MS ? count / NS_PER_MS : count * 1_000);
  });
}

/** Unwraps the number that clients generated from Fly's OpenAPI document put into an object. */
function durationOf(raw: unknown): unknown {
  const value = isObject(raw) && isOnly(raw, WRAPPED) ? raw[WRAPPED] : raw;
  if (typeof value === "number") return Math.abs(value) < MAX_NS ? formatDuration(value / NS_PER_MS) : value;
  return value === "" || value === null ? undefined : value;
}

function isOnly(object: JsonObject, name: string): boolean {
  return Object.keys(object).every((each) => each === name);
}

function durationText(negative = false) {
  return z.string({ error: 'must be a duration such as "1m30s"' }).superRefine((value, ctx) => {
    try {
      if (parseDuration(value) < 0 && !negative)
        ctx.addIssue({ code: "custom", message: "must not be negative" });
    } catch (err) {
      ctx.addIssue({ code: "custom", message: err instanceof Error ? err.message : "is no duration" });
    }
  });
}

/** Reads a signal by name or number. Returns its name. */
export function signal() {
  const error = "must be a signal of Linux such as SIGTERM or 15";
  const schema = z.string({ error }).refine((value) => signalNumber(value) !== undefined, { error });
  return member(schema, (raw) => {
    if (raw === "" || raw === 0) return undefined;
    if (typeof raw !== "string" && typeof raw !== "number") return raw;
    const known = signalNumber(String(raw));
    return known === undefined ? String(raw) : signalName(known);
  });
}

/** Reads one of several texts. */
export function oneOf<const T extends readonly string[]>(values: T) {
  const error = `must be one of ${values.join(", ")}`;
  return member(z.enum(values, { error }), (raw) => (raw === "" ? undefined : raw));
}

/** Reads a list. */
export function list<T extends z.ZodType>(item: T) {
  return member(z.array(item, { error: "must be a list" }), (raw) => (isEmpty(raw) ? [] : raw));
}

/** Reads a list of texts. */
export function texts() {
  return list(z.string({ error: "must be text" }));
}

/** Reads an object, and keeps unknown members. PHP sends an empty list for an empty object. */
export function object<S extends z.ZodRawShape>(shape: S) {
  return member(item(shape), (raw) => (isEmptyList(raw) || raw === "" ? {} : raw));
}

/** Reads an object that is an entry of a list. */
export function item<S extends z.ZodRawShape>(shape: S) {
  return z.looseObject(shape, { error: "must be an object" });
}

/** Reads an object of texts by name. Entries that are null are absent. */
export function textMap() {
  return mapOf(z.string({ error: "must be text" }));
}

/** Reads an object of values by name. Entries that are null are absent. */
export function mapOf<T extends z.ZodType>(value: T) {
  return member(z.record(z.string(), value, { error: "must be an object" }), (raw) => {
    if (isEmptyList(raw) || raw === "") return {};
    if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
    return Object.fromEntries(Object.entries(raw).filter(([, each]) => each !== null));
  });
}

function readNumber(raw: unknown): unknown {
  if (raw === "") return undefined;
  return typeof raw === "string" && /^-?\d+(\.\d+)?$/.test(raw) ? Number(raw) : raw;
}

/** Returns the seconds of a duration with a unit, to the millisecond; undefined for other text. */
function secondsOf(text: string): number | undefined {
  try {
    return Math.round(parseDuration(text)) / 1_000;
  } catch {
    return undefined;
  }
}

function isEmpty(raw: unknown): boolean {
  return raw === "" || (typeof raw === "object" && raw !== null && Object.keys(raw).length === 0);
}

function isEmptyList(raw: unknown): boolean {
  return Array.isArray(raw) && raw.length === 0;
}
