import { isList, isObject, type Json, type JsonObject, residual } from "../json.ts";

/**
 * Several services of a configuration may have one port of the guest, each with ports of its own
 * outside. A machine publishes a port once, by the first of them. `extra` keeps the others whole, with
 * their places in the list: what it keeps of the first ones is at the places that the machine has them.
 */
const KEPT_AS = "repeated_services";

/** Returns the services that a machine has: of several with one port the first. */
export function distinctServices<S extends object>(services: readonly S[]): S[] {
  return parted(services).first;
}

/** Returns the members of `extra` that keep what the services of a machine do not give back. */
export function keepServices(
  services: readonly JsonObject[] | undefined,
  given: Json | undefined,
): JsonObject {
  if (services === undefined) return {};
  const { first, repeats } = parted(services);
  const left = residual(first, given);
  // The api fills in the protocol of the others.
  const kept = repeats.map(({ at, service }) => {
    return { at, service: { ...service, protocol: service["protocol"] || "tcp" } };
  });
  return {
    ...(left === undefined ? {} : { services: left }),
    ...(kept.length === 0 ? {} : { [KEPT_AS]: residual(kept, undefined) }),
  };
}

/** Puts services that `extra` keeps whole back to their places. Those whose port the machine no longer has are gone. */
export function restoreServices({ [KEPT_AS]: kept, ...config }: JsonObject): JsonObject {
  const { services } = config;
  if (!isList(kept) || !isList(services)) return config;
  const ports = new Set(services.map(keyOf));
  const restored = [...services];
  for (const repeat of kept) {
    if (!isObject(repeat) || typeof repeat["at"] !== "number" || repeat["service"] === undefined) continue;
    if (ports.has(keyOf(repeat["service"]))) restored.splice(repeat["at"], 0, repeat["service"]);
  }
  return { ...config, services: restored };
}

/** Parts the first service of each port from the others, which have their places in the list. */
function parted<S extends object>(services: readonly S[]) {
  const seen = new Set<string>();
  const first: S[] = [];
  const repeats: { at: number; service: S }[] = [];
  for (const [at, service] of services.entries()) {
    const key = keyOf(service);
    if (key === undefined || !seen.has(key)) first.push(service);
    else repeats.push({ at, service });
    if (key !== undefined) seen.add(key);
  }
  return { first, repeats };
}

/** Names protocol and port; undefined without a port. What gRPC clients keep may have any type. */
function keyOf(service: unknown): string | undefined {
  if (!isObject(service)) return undefined;
  const { internal_port: port, protocol } = service;
  if (typeof port !== "number" || port === 0) return undefined;
  return `${typeof protocol === "string" && protocol !== "" ? protocol : "tcp"}/${port}`;
}
