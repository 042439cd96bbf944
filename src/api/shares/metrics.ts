import { counter, gauge } from "../../lib/otel/metrics.ts";
import { ACTIONS } from "./rates.ts";
import type { Shares } from "./shares.ts";

export const rateLimitedCalls = counter(
  "windhover_rate_limited_total",
  "Calls refused because their organisation made too many, by action.",
  ["action"],
);
for (const action of ACTIONS) rateLimitedCalls.inc({ action }, 0);

/** Must be called once per process. */
export function exposeShares(shares: Pick<Shares, "size">): void {
  gauge("windhover_rate_limited_orgs", "Organisations whose calls are being counted.", () => shares.size);
}
