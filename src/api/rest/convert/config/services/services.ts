import type { ServiceConfig } from "../../../../../gen/windhover/machines/v1/machine.ts";
import { isList, isObject, type Json, type JsonObject, residual } from "../../json.ts";

/**
 * Several services of a configuration may have one port of the guest, each with ports of its own
 * outside. A machine has one service for them: the first, with the ports of all. `extra` keeps the
 * others, with their places in the list and the names of their ports: what it keeps of the first ones is
 * at the places that the machine has them.
 */
const KEPT_AS = "repeated_services";

/** Returns the services that a machine has: of several with one port the first, with the ports of all. */
export function mergeServices(services: readonly ServiceConfig[]): ServiceConfig[] {
  const { first, repeats } = parted(services, keyOf);
  return first.map((service) => {
    const others = repeats.filter((repeat) => keyOf(repeat.service) === keyOf(service));
    return { ...service, ports: [...service.ports, ...others.flatMap((repeat) => repeat.service.ports)] };
  });
}

/** Returns the members of `extra` that keep what the services of a machine do not give back. */
export function keepServices(
  services: readonly JsonObject[] | undefined,
  given: Json | undefined,
): JsonObject {
  if (services === undefined) return {};
  const { first, repeats } = parted(services, jsonKeyOf);
  const merged = first.map((service) => {
    const others = repeats.filter((repeat) => jsonKeyOf(repeat.service) === jsonKeyOf(service));
    const ports = [service, ...others.map((repeat) => repeat.service)].flatMap(portsOf);
    return ports.length > 0 ? { ...service, ports } : service;
  });
  const left = residual(merged, given);
  // The api fills in the protocol of the others.
  const kept = repeats.map(({ at, service }) => {
    const { ports: _, ...others } = service;
    const names = portsOf(service).map(portName);
    const ports = names.length > 0 ? { ports: names } : {};
    return { at, service: { ...others, protocol: service["protocol"] || "tcp" }, ...ports };
  });
  return {
    ...(left === undefined ? {} : { services: left }),
    ...(kept.length === 0 ? {} : { [KEPT_AS]: residual(kept, undefined) }),
  };
}

/** Puts services that `extra` keeps back to their places. Those whose port the machine no longer has are gone. */
export function restoreServices({ [KEPT_AS]: kept, ...config }: JsonObject): JsonObject {
  const { services } = config;
  if (!isList(kept) || !isList(services)) return config;
  const restored = [...services];
  const indexes = new Map(services.map((service, index) => [jsonKeyOf(service), index] as const).reverse());
  const repeats: { readonly at: number; readonly service: JsonObject }[] = [];
  // The ports of the last one are the last of the machine's service.
  for (const repeat of kept.toReversed()) {
    if (!isObject(repeat) || typeof repeat["at"] !== "number" || !isObject(repeat["service"])) continue;
    const { at, service, ports } = repeat;
    const key = jsonKeyOf(service);
    const index = key === undefined ? undefined : indexes.get(key);
    if (index === undefined) continue;
    const [left, taken] = takePorts(restored[index], isList(ports) ? ports : []);
    restored[index] = left;
    repeats.unshift({ at, service: taken.length > 0 ? { ...service, ports: taken } : service });
  }
  for (const { at, service } of repeats) restored.splice(at, 0, service);
  return { ...config, services: restored };
}

/** Takes the last ports with these names out of a service. */
function takePorts(service: Json | undefined, names: readonly Json[]): [left: Json, taken: readonly Json[]] {
  if (!isObject(service)) return [service ?? null, []];
  const left = [...portsOf(service)];
  const taken = names.toReversed().flatMap((name) => {
    const index = left.findLastIndex((port) => portName(port) === name);
    return index < 0 ? [] : left.splice(index, 1);
  });
  return taken.length > 0 ? [withPorts(service, left), taken.reverse()] : [service, taken];
}

function withPorts({ ports: _, ...service }: JsonObject, ports: readonly Json[]): JsonObject {
  return ports.length > 0 ? { ...service, ports } : service;
}

function portsOf(service: JsonObject): readonly Json[] {
  const { ports } = service;
  return isList(ports) ? ports : [];
}

/** Names a port or a range, which a machine has once for each protocol. */
function portName(port: Json): string {
  if (!isObject(port)) return "";
  const { port: one, start_port: start = one, end_port: end = one } = port;
  return `${start || one}-${end || one}`;
}

/** Parts the first service of each port from the others, which have their places in the list. */
function parted<S>(services: readonly S[], keyOf: (service: S) => string | undefined) {
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

/** Names protocol and port; undefined without a port. */
function keyOf({ protocol, internalPort }: ServiceConfig): string | undefined {
  return internalPort === 0 ? undefined : `${protocol || "tcp"}/${internalPort}`;
}

/** The same of JSON. What gRPC clients keep may have any type. */
function jsonKeyOf(service: unknown): string | undefined {
  if (!isObject(service)) return undefined;
  const { internal_port: port, protocol } = service;
  if (typeof port !== "number" || port === 0) return undefined;
  return `${typeof protocol === "string" && protocol !== "" ? protocol : "tcp"}/${port}`;
}
