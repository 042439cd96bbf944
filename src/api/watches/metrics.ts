import { counter, gauge } from "../../lib/otel/metrics.ts";
import type { ChangeFeed } from "./change-feed.ts";

export const watchesBehind = counter(
  "windhover_watches_behind_total",
  "Times that a watch was slower than its changes and went on from the log.",
);

/** Must be called once per process. */
export function exposeWatches(feed: Pick<ChangeFeed, "size">): void {
  gauge("windhover_watches", "Watches of machines that are open here.", () => feed.size);
}
