import type { MachineConfig } from "../../../../gen/windhover/machines/v1/machine.ts";
import { isSameDuration } from "../duration.ts";
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
/** Names of a fly.toml, and those of the same settings here. */
const OF_FLY_TOML: ReadonlyMap<string, string> = new Map([
  ["auto_stop_machines", "autostop"],
  ["auto_start_machines", "autostart"],
  ["kill_signal", "stop_config.signal"],
  ["kill_timeout", "stop_config.timeout"],
  ["http_service", "services"],
  ["http_checks", "checks"],
  ["tcp_checks", "checks"],
  ["vm", "guest"],
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

/** Returns warnings about services that stop their machine, and that nothing starts again: an app that is dead. */
export function deadEnds({ services }: MachineConfig): readonly string[] {
  const index = services.findIndex(({ autostop }) => autostop === "stop" || autostop === "suspend");
  if (index < 0 || services.some(({ autostart }) => autostart)) return [];
  const what = "stops the machine when it is idle, and no request starts it again";
  return [
    `config.services[${index}].autostop ${what}: set autostart to true, unless something else starts it`,
  ];
}

/** Writes a warning about a member. */
export function warningOf(field: string): string {
  const own = OF_FLY_TOML.get(field.slice(field.lastIndexOf(".") + 1));
  return `${field} is not acted on${own === undefined ? "" : `: that is its name in a fly.toml; write ${own}`}`;
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
  // A duration of zero is the default. `never` is how the root file system is kept: not at all.
  return !!value && value !== "never" && !(typeof value === "string" && isSameDuration(value, "0s"));
}
