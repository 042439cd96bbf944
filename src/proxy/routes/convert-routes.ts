import type * as wire from "../../gen/windhover/admin/v1/routes.ts";
import type { HttpOptions, PortConfig, ServiceConfig } from "../../gen/windhover/machines/v1/machine.ts";
import { durationFromProto } from "../../lib/grpc/messages/duration.ts";
import { stateFromProto } from "../convert-state.ts";
import type { Concurrency, Handler, TlsSettings } from "../route.ts";
import type { MachineRoute, PortRoute, RoutesChange, ServiceRoute } from "./routes.ts";

const SOFT_LIMIT = 20;
const IDLE_TIMEOUT_MS = 300_000;
const WAKE_TIMEOUT_MS = 60_000;
const HTTP_IDLE_TIMEOUT_MS = 60_000;
const HEADERS_READ_TIMEOUT_MS = 15_000;
const HANDLERS: ReadonlySet<string> = new Set<Handler>(["http", "tls", "pg_tls", "proxy_proto"]);
const ALPN = ["h2", "http/1.1"] as const;
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;

/** Converts a message of a watch, with the defaults of all that is absent. */
export function changeFromProto(message: wire.WatchRoutesResponse): RoutesChange {
  const { apps, machines, hosts, position } = message;
  return {
    position,
    apps: apps.filter(({ org }) => org !== "").map(({ name, org, hostnames }) => ({ name, org, hostnames })),
    goneApps: apps.filter(({ org }) => org === "").map(({ name }) => name),
    machines: machines.filter(({ region }) => region !== "").map(machineFromProto),
    goneMachines: machines.filter(({ region }) => region === "").map(({ id }) => id),
    hosts: hosts.map(({ number, name, region, address }) => ({ number, name, region, address })),
  };
}

function machineFromProto(machine: wire.MachineRoute): MachineRoute {
  const { id, app, region, hostNumber, instanceId, cordoned, processGroup } = machine;
  return {
    ...{ id, app, region, hostNumber, instanceId, cordoned, processGroup },
    services: machine.services.map(serviceFromProto),
    state: stateFromProto(machine.state),
    generation: Number(machine.generation),
  };
}

function serviceFromProto(service: ServiceConfig): ServiceRoute {
  const { protocol, internalPort, autostop, minMachinesRunning } = service;
  return {
    ...{ protocol, internalPort, minMachinesRunning },
    ports: service.ports.map(portFromProto),
    autostart: service.autostart ?? false,
    autostop: autostop === "stop" || autostop === "suspend" ? autostop : "off",
    concurrency: concurrencyFromProto(service.concurrency),
    idleTimeoutMs: durationFromProto(service.idleTimeout) ?? IDLE_TIMEOUT_MS,
    wakeTimeoutMs: durationFromProto(service.wakeTimeout) ?? WAKE_TIMEOUT_MS,
  };
}

function concurrencyFromProto(given: ServiceConfig["concurrency"]): Concurrency {
  const hardLimit = Math.max(0, given?.hardLimit ?? 0);
  const usual = hardLimit > 0 ? Math.min(SOFT_LIMIT, hardLimit) : SOFT_LIMIT;
  const softLimit = given && given.softLimit > 0 ? given.softLimit : usual;
  return { type: given?.type === "requests" ? "requests" : "connections", softLimit, hardLimit };
}

function portFromProto(config: PortConfig): PortRoute {
  const { port, startPort, endPort, handlers, forceHttps, tlsOptions, proxyProtoOptions } = config;
  return {
    first: port || startPort,
    last: port || endPort,
    handlers: handlers.filter((each): each is Handler => HANDLERS.has(each)),
    forceHttps,
    tls: tlsFromProto(tlsOptions),
    http: httpFromProto(config.httpOptions),
    proxyProto: proxyProtoOptions?.version === "v2" ? "v2" : "v1",
  };
}

function tlsFromProto(options: PortConfig["tlsOptions"]): TlsSettings {
  const alpn = ALPN.filter((each) => options?.alpn.includes(each));
  const versions = VERSIONS.filter((each) => options?.versions.includes(each));
  return {
    alpn: alpn.length > 0 ? alpn : ALPN,
    versions: versions.length > 0 ? versions : VERSIONS,
    defaultSelfSigned: options?.defaultSelfSigned ?? false,
  };
}

function httpFromProto(options: HttpOptions | undefined): PortRoute["http"] {
  const headers = [...(options?.responseHeaders ?? [])];
  return {
    h2Backend: options?.h2Backend ?? false,
    idleTimeoutMs: durationFromProto(options?.idleTimeout) ?? HTTP_IDLE_TIMEOUT_MS,
    headersReadTimeoutMs: durationFromProto(options?.headersReadTimeout) ?? HEADERS_READ_TIMEOUT_MS,
    responseHeaders: headers.map(([name, value]) => [name.toLowerCase(), value] as const),
    pristineResponse: options?.pristineResponse ?? false,
  };
}
