import { isSameDuration } from "./duration.ts";

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** An object of JSON. Members that are undefined are absent. */
export interface JsonObject {
  readonly [name: string]: Json | undefined;
}

/**
 * Returns the members that `raw` has and `typed` lacks, so that `merge(typed, residual)` has every
 * member of both. Lists of objects are compared entry by entry. Where both have another value, the
 * typed one counts, except for two spellings of one duration, or of one header.
 *
 * @returns undefined when nothing is left
 */
export function residual(raw: Json | undefined, typed: Json | undefined): Json | undefined {
  if (raw === undefined) return undefined;
  if (typed === undefined) return withoutUndefined(raw);
  if (isObject(raw) && isObject(typed)) {
    const left = Object.entries(raw).flatMap(([name, value]) => {
      const rest = residual(value, own(typed, name));
      return rest === undefined ? [] : [[name, rest] as const];
    });
    return left.length === 0 ? undefined : Object.fromEntries(left);
  }
  if (isList(raw) && isList(typed) && typed.every(isObject)) {
    const left = typed.map((entry, i) => residual(raw[i], entry) ?? {});
    return left.every((entry) => isObject(entry) && Object.keys(entry).length === 0) ? undefined : left;
  }
  return isSpelling(raw, typed) ? raw : undefined;
}

/** Adds the members of `extra`, which `residual` returned, to those of the typed fields. */
export function merge(typed: Json | undefined, extra: Json | undefined): Json | undefined {
  if (extra === undefined) return typed;
  if (typed === undefined) return extra;
  if (isObject(typed) && isObject(extra)) {
    const names = new Set([...Object.keys(typed), ...Object.keys(extra)]);
    return Object.fromEntries([...names].map((name) => [name, merge(own(typed, name), own(extra, name))]));
  }
  if (isList(typed) && isList(extra) && typed.every(isObject)) {
    return typed.map((entry, i) => merge(entry, isObject(extra[i]) ? extra[i] : undefined) ?? null);
  }
  return isSpelling(extra, typed) ? extra : typed;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns an own member of an object, e.g. not `constructor`. */
export function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isSpelling(a: Json, b: Json): boolean {
  if (isList(a)) return a.length > 0 && a.every((each) => typeof each === "string") && a.join(", ") === b;
  return typeof a === "string" && typeof b === "string" && a !== b && isSameDuration(a, b);
}

function withoutUndefined(value: Json): Json {
  if (isList(value)) return value.map(withoutUndefined);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) =>
      each === undefined ? [] : [[name, withoutUndefined(each)] as const],
    ),
  );
}
