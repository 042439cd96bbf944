import type { JsonObject } from "../json.ts";

/** Leaves out members that mean nothing: undefined, zero, false, empty text, empty lists. */
export function nonDefault(members: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => !!value && !(Array.isArray(value) && value.length === 0)),
  );
}
