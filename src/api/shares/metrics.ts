import { counter, gauge, gaugeBy } from "../../lib/otel/metrics.ts";
import { ACTIONS } from "./rates.ts";
import type { Shares } from "./shares.ts";

export const rateLimitedCalls = counter(
  "windhover_rate_limited_total",
  "Calls refused because their organisation made too many, by action.",
  ["action"],
);
for (const action of ACTIONS) rateLimitedCalls.inc({ action }, 0);

export const refusedInProgress = counter(
  "windhover_calls_refused_total",
  "Calls refused because their organisation had too many under way.",
  ["kind"],
);
for (const kind of ["calls", "streams"]) refusedInProgress.inc({ kind }, 0);

/** Must be called once per process. */
export function exposeShares(
  shares: Pick<Shares, "size">,
  inProgress: { readonly calls: number; readonly streams: number },
  turns: readonly { readonly waiting: number }[],
): void {
  gaugeBy(
    "windhover_calls_in_progress",
    "Calls of organisations that are under way, waits and streams apart.",
    "kind",
    () => [
      ["calls", inProgress.calls],
      ["streams", inProgress.streams],
    ],
  );
  gauge("windhover_calls_waiting", "Calls that wait for their organisation's turn, of those under way.", () =>
    turns.reduce((sum, { waiting }) => sum + waiting, 0),
  );
  gauge("windhover_rate_limited_orgs", "Organisations whose calls are being counted.", () => shares.size);
}
