import {
  AppRoute,
  HostRoute,
  MachineRoute,
  type WatchRoutesResponse,
} from "../../gen/windhover/admin/v1/routes.ts";
import { positionToText } from "../watches/position.ts";
import { appToProto, hostToProto, machineToProto } from "./convert-route.ts";
import type { RouteMessage } from "./watch-routes.ts";

/** Of a response, before its last route: one route has at most some 64 KiB. */
const MAX_BYTES = 512 * 1_024;

/** Splits what a proxy is sent into responses of less than 1 MiB. The last one has the position. */
export function* responsesOf({
  routes,
  position,
  beginsAnew,
}: RouteMessage): Generator<WatchRoutesResponse, void, undefined> {
  let part = emptyResponse(beginsAnew);
  let bytes = 0;
  for (const [field, route, size] of encodedRoutes(routes)) {
    if (bytes > MAX_BYTES) {
      yield part;
      part = emptyResponse(false);
      bytes = 0;
    }
    bytes += size;
    // Each entry has the type of its field.
    (part[field] as unknown[]).push(route);
  }
  yield { ...part, position: position ? positionToText(position) : "" };
}

type Encoded = readonly ["apps" | "hosts" | "machines", unknown, number];

function* encodedRoutes({ apps, hosts, machines }: RouteMessage["routes"]): Generator<Encoded> {
  for (const app of apps.map(appToProto)) yield ["apps", app, AppRoute.encode(app).finish().length];
  for (const host of hosts.map(hostToProto)) yield ["hosts", host, HostRoute.encode(host).finish().length];
  for (const each of machines) {
    const machine = machineToProto(each);
    yield ["machines", machine, MachineRoute.encode(machine).finish().length];
  }
}

function emptyResponse(beginsAnew: boolean): WatchRoutesResponse {
  return { apps: [], machines: [], hosts: [], position: "", beginsAnew };
}
