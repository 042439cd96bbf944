import { machineRoute, routesOf, serviceRoute } from "./route-fixtures.ts";
import { SimFleet } from "./sim-fleet.ts";

/** Makes a fleet of machines of the app `web`, with limits of requests. */
export function fleetOf(ids: readonly string[], softLimit = 2, hardLimit = 0, proxies = 1): SimFleet {
  const services = [serviceRoute({ concurrency: { type: "requests", softLimit, hardLimit } })];
  return new SimFleet(proxies, routesOf(...ids.map((id) => machineRoute(id, { services }))));
}
