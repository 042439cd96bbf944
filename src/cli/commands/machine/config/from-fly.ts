import { withOwnMembers } from "./fly-members.ts";
import { isObject } from "./schema-fields.ts";

type Json = Readonly<Record<string, unknown>>;

const NS_PER_MS = 1e6;

/**
 * Converts a configuration of Fly's into the shape that hover's files have: durations are in
 * nanoseconds there when they are numbers, those of HTTP options in seconds, and autostop may be a
 * boolean. What has another type than expected stays as it is, for the schema to refuse.
 */
export function fromFly(value: unknown): unknown {
  if (!isObject(value)) return value;
  return change(withOwnMembers(value), {
    stop_config: (stop) => change(stop, { timeout: timeFromFly }),
    files: each((file) => rename(file, { raw_value: "content" })),
    services: each(serviceFromFly),
    checks: (checks) =>
      isObject(checks)
        ? Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, checkFromFly(check)]))
        : checks,
    max_lifetime: timeFromFly,
    max_busy: timeFromFly,
  });
}

/** Converts a service. */
export function serviceFromFly(service: unknown): unknown {
  return change(service, {
    autostop: (mode) => (typeof mode === "boolean" ? (mode ? "stop" : "off") : mode),
    checks: each(checkFromFly),
    ports: each((port) => change(port, { http_options: httpFromFly })),
    idle_timeout: timeFromFly,
    wake_timeout: timeFromFly,
  });
}

function checkFromFly(check: unknown): unknown {
  return change(check, { interval: timeFromFly, timeout: timeFromFly, grace_period: timeFromFly });
}

/** Moves what Fly has in `response` beside the other options. Their times stay: without a unit they are seconds. */
function httpFromFly(options: unknown): unknown {
  if (!isObject(options) || !isObject(options["response"])) return options;
  const { response, ...rest } = options;
  const { headers, pristine, ...others } = response as Json;
  return {
    ...rest,
    ...(Object.keys(others).length > 0 ? { response: others } : {}),
    ...(isObject(headers) ? { response_headers: headersFromFly(headers) } : {}),
    ...(pristine === undefined ? {} : { pristine_response: pristine }),
  };
}

/** False removes a header, as an empty text does here; several values are one, as in HTTP. */
function headersFromFly(headers: Json): Json {
  const read = (value: unknown) => (value === false ? "" : Array.isArray(value) ? value.join(", ") : value);
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, read(value)]));
}

function timeFromFly(value: unknown): unknown {
  return typeof value === "number" ? `${value / NS_PER_MS}ms` : value;
}

/** Applies functions to members of an object that it has. */
function change(value: unknown, changes: Readonly<Record<string, (member: unknown) => unknown>>): unknown {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([name, member]) => {
    const apply = Object.hasOwn(changes, name) ? changes[name] : undefined;
    return [name, apply && member !== undefined ? apply(member) : member];
  });
  return Object.fromEntries(entries);
}

function rename(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      Object.hasOwn(names, name) ? (names[name] ?? name) : name,
      member,
    ]),
  );
}

/** Applies a function to the entries of a list. */
function each(apply: (entry: unknown) => unknown): (list: unknown) => unknown {
  return (list) => (Array.isArray(list) ? list.map(apply) : list);
}
