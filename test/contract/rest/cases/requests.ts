import type { RestFleet } from "../rest-fleet.ts";

/** Requests to the fleet that there is when a test runs. */
export function requestsOf(rest: () => RestFleet) {
  return {
    call: (...request: Parameters<RestFleet["call"]>) => rest().call(...request),
    ok: (...request: Parameters<RestFleet["ok"]>) => rest().ok(...request),
  };
}
