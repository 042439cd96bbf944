import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { isList, isObject, type Json, type JsonObject, own } from "../json.ts";
import { typedToJson } from "./convert-config.ts";

/** Objects some of whose members are acted on: each that is not is named. */
const PARTLY: ReadonlySet<string> = new Set([
  ...["guest", "init", "dns", "restart", "stop_config", "http_options", "response", "processes"],
  ...["concurrency", "tls_options", "proxy_proto_options"],
]);
/** Members that ask for what is so in any case, or that only describe. */
const NEEDLESS: ReadonlySet<string> = new Set([
  ...["skip_registration", "ignore_app_secrets", "force_instance_description", "repeated_services"],
]);
const MAX_NAMED = 32;
const MAX_NAME = 128;

/**
 * Names the members of a configuration that are kept with the machine and not acted on: those that are not
 * built yet, and those that nobody knows, e.g. by a slip of the pen.
 */
export function ignoredMembers(config: MachineConfig): readonly string[] {
  // A message holds nothing but JSON in a Struct.
  const extra = (config.extra ?? {}) as JsonObject;
  return [...namesIn(extra, typedToJson(config), "config.")].slice(0, MAX_NAMED);
}

/** Names the members of a request that are not acted on. @param known those that are */
export function ignoredOf(body: JsonObject, known: ReadonlySet<string>): readonly string[] {
  const names = Object.keys(body).filter((name) => !known.has(name) && saysSomething(body[name]));
  return names.slice(0, MAX_NAMED).map((name) => name.slice(0, MAX_NAME));
}

function* namesIn(kept: Json | undefined, typed: Json | undefined, at: string): Generator<string> {
  if (isList(kept)) {
    const others = isList(typed) ? typed : [];
    for (const [i, each] of kept.entries()) yield* namesIn(each, others[i], `${at.slice(0, -1)}[${i}].`);
  } else if (isObject(kept)) {
    for (const [name, value] of Object.entries(kept)) {
      const acted = isObject(typed) ? own(typed, name) : undefined;
      if (NEEDLESS.has(name)) continue;
      if (acted !== undefined || PARTLY.has(name)) yield* namesIn(value, acted, `${at}${name}.`);
      else if (saysSomething(value)) yield `${at}${name}`.slice(0, MAX_NAME);
    }
  }
  // Else both have it: another spelling of the same.
}

/** Whether a value asks for something: what encoders send for nothing does not. */
function saysSomething(value: Json | undefined): boolean {
  if (isList(value)) return value.some(saysSomething);
  if (isObject(value)) return Object.values(value).some(saysSomething);
  // `never` is how the root file system is kept: not at all.
  return !!value && value !== "never";
}
