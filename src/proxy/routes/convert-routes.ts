import type * as wire from "../../gen/windhover/admin/v1/routes.ts";
import type { ServiceConfig } from "../../gen/windhover/machines/v1/machine.ts";
import { serviceSettingsFromProto } from "../../lib/service-config/convert-service.ts";
import { type CompletePort, serviceWithDefaults } from "../../lib/service-config/defaults.ts";
import { stateFromProto } from "../convert-state.ts";
import type { MachineRoute, PortRoute, RoutesChange, ServiceRoute } from "./routes.ts";

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
  const { protocol, internalPort } = service;
  const { ports, ...others } = serviceWithDefaults(serviceSettingsFromProto(service));
  return { protocol, internalPort, ports: ports.map(portRoute), ...others };
}

function portRoute({ port, startPort, endPort, proxyProto, http, ...others }: CompletePort): PortRoute {
  const headers = Object.entries(http.responseHeaders);
  return {
    first: port || startPort,
    last: port || endPort,
    ...others,
    http: { ...http, responseHeaders: headers.map(([name, value]) => [name.toLowerCase(), value] as const) },
    proxyProto: proxyProto.version,
  };
}
