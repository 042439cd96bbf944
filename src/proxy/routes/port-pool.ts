import type { Handler } from "../../lib/service-config/defaults.ts";
import type { PortNames, RoutedService, Target } from "../route.ts";
import type { AppRoute, MachineRoute, PortRoute, ServiceRoute } from "./routes.ts";

/** The machines of an app that have a service at a port of proxies. */
export interface PortPool {
  readonly target: Target;
  /** By id. */
  readonly members: readonly Member[];
}

/** A machine, and its service at the port. */
export interface Member {
  readonly machine: MachineRoute;
  readonly service: ServiceRoute;
}

/** Handlers of ports whose connections belong to no one app before something was read from them. */
const NAMED: ReadonlySet<Handler> = new Set<Handler>(["http", "tls"]);
/** What the listeners of HTTP and TLS count as. */
const LISTENERS: ReadonlySet<number> = new Set([80, 443]);

/**
 * Finds the machines with a service at a port. Where machines differ, the newest version says how the
 * port is served, and each machine for itself where its program listens and how much it takes.
 *
 * @returns undefined when no machine has one
 */
export function poolOf(app: AppRoute, machines: readonly MachineRoute[], port: number): PortPool | undefined {
  const members: Member[] = [];
  let newest: (Member & { readonly at: PortRoute }) | undefined;
  for (const machine of machines) {
    const found = serviceAt(machine, port);
    if (!found) continue;
    members.push({ machine, service: found.service });
    if (!newest || machine.instanceId > newest.machine.instanceId) newest = { machine, ...found };
  }
  if (!newest) return undefined;
  members.sort((a, b) => (a.machine.id < b.machine.id ? -1 : 1));
  const target = { app: app.name, org: app.org, port, service: routed(newest.service, newest.at) };
  return { target, members };
}

/** Whether a machine has a service at a port of proxies that is not one of the listeners for host names alone. */
export function takesPorts({ services }: MachineRoute): boolean {
  return services.some(({ protocol, ports }) => protocol === "tcp" && ports.some(isOwn));
}

/** Returns the ports of a range that services name. */
export function portsWithin(
  machines: Iterable<MachineRoute>,
  { first, last }: { readonly first: number; readonly last: number },
): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const { services } of machines)
    for (const { protocol, ports: all } of services)
      for (const range of protocol === "tcp" ? all : [])
        for (let port = Math.max(first, range.first); port <= Math.min(last, range.last); port++)
          ports.add(port);
  return ports;
}

/** Whether a machine's service takes this port for its app alone. */
export function takesPort(machine: MachineRoute, port: number): boolean {
  const found = serviceAt(machine, port);
  return found !== undefined && isRaw(found.at);
}

/** Returns how a machine is served by host name at a port. Undefined: not at all. */
export function namesOf(machine: MachineRoute, port: number): PortNames | undefined {
  const found = serviceAt(machine, port);
  if (!found || isRaw(found.at)) return undefined;
  const tls = found.at.handlers.includes("tls");
  return { tls, http: !tls };
}

function isOwn(port: PortRoute): boolean {
  return isRaw(port) || port.first !== port.last || !LISTENERS.has(port.first);
}

function isRaw({ handlers }: PortRoute): boolean {
  return !handlers.some((each) => NAMED.has(each));
}

function serviceAt({ services }: MachineRoute, port: number) {
  for (const service of services) {
    if (service.protocol !== "tcp") continue;
    const at = service.ports.find(({ first, last }) => first <= port && port <= last);
    if (at) return { service, at };
  }
  return undefined;
}

function routed(service: ServiceRoute, port: PortRoute): RoutedService {
  const { internalPort, concurrency, wakeTimeoutMs } = service;
  const { forceHttps, tls, proxyProto } = port;
  return {
    ...{ internalPort, concurrency, wakeTimeoutMs, forceHttps, tls, proxyProto },
    handlers: new Set(port.handlers),
    http: { ...port.http, responseHeaders: new Map(port.http.responseHeaders.map(encoded)) },
  };
}

/** Node writes headers byte by byte, and refuses characters that have no byte: UTF-8 has them. */
function encoded([name, value]: readonly [name: string, value: string]): readonly [string, string] {
  return [name, Buffer.from(value).toString("latin1")];
}
