import { isObject, type Json, type JsonObject, own } from "../json.ts";
import { PROGRAM_MEMBERS } from "./config-schema.ts";

/**
 * A configuration with one entry in `processes` runs it as the machine's program: what it overrides
 * goes into `init` and `env`. `extra` keeps the entry with null in place of those values, so that
 * the entry can be given back and no value of an environment is kept twice.
 */

/** Replaces what goes into `init` and `env` with null. */
export function markProcess(process: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(process).map(([name, value]) => {
      if (name === "env" && isObject(value)) {
        return [name, Object.fromEntries(Object.keys(value).map((each) => [each, null]))];
      }
      return [name, isProgram(name) && !isEmpty(value) ? null : value];
    }),
  );
}

/** Moves the values that are marked in `processes` out of `init` and `env`. */
export function unmarkProcess(config: JsonObject, marked: Json | undefined): JsonObject {
  const process = Array.isArray(marked) && marked.length === 1 ? marked[0] : undefined;
  if (!isObject(process)) return config;
  const init = { ...asObject(config["init"]) };
  const env = { ...asObject(config["env"]) };
  const filled = Object.entries(process).map(([name, value]) => {
    if (isProgram(name) && value === null) return [name, take(init, name)] as const;
    if (name !== "env" || !isObject(value)) return [name, value] as const;
    const entries = Object.entries(value).map(([key, each]) => [key, each ?? take(env, key)] as const);
    return [name, Object.fromEntries(entries)] as const;
  });
  const { env: _, ...others } = config;
  return {
    ...others,
    ...(Object.keys(env).length === 0 ? {} : { env }),
    init,
    processes: [Object.fromEntries(filled)],
  };
}

function isProgram(name: string): boolean {
  return PROGRAM_MEMBERS.some((each) => each === name);
}

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}

function take(from: Record<string, Json | undefined>, name: string): Json | undefined {
  const value = own(from, name);
  delete from[name];
  return value;
}

function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}
