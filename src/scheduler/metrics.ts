import { gauge, gaugeBy } from "../lib/otel/metrics.ts";
import type { AttachedHost } from "./hosts/attached-host.ts";
import type { Hosts } from "./hosts/hosts.ts";
import type { Reservations } from "./reservations/reservations.ts";

/** Registers gauges of a scheduler. Must be called once per process. */
export function exposeScheduler(hosts: Hosts, reservations: Reservations): void {
  gauge("windhover_hosts_attached", "Hosts attached to this replica.", () => hosts.size);
  gaugeBy(
    "windhover_hosts",
    "Hosts attached to this replica, by whether they take machines: open, cordoned, draining.",
    "scheduling",
    () => byScheduling(hosts.all()),
  );
  gauge(
    "windhover_hosts_in_backoff",
    "Hosts that auctions leave out now, because they refused awards repeatedly.",
    () => hosts.refusals.inBackoff(),
  );
  gauge("windhover_auctions_in_progress", "Auctions under way.", () => reservations.running);
}

/** Counts hosts for each value, also where there are none. A host without a status is open. */
function byScheduling(hosts: readonly AttachedHost[]): Map<string, number> {
  const counts = new Map([
    ["open", 0],
    ["cordoned", 0],
    ["draining", 0],
  ]);
  for (const { status } of hosts) {
    const scheduling = status?.scheduling ?? "open";
    counts.set(scheduling, (counts.get(scheduling) ?? 0) + 1);
  }
  return counts;
}
