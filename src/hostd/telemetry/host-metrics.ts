import { counterOf, gauge, gaugeBy } from "../../lib/otel/metrics.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import type { DiskWatch } from "../availability/disk-watch.ts";
import { reserveOf } from "../availability/host-disk.ts";
import type { Ledger } from "../capacity/ledger.ts";
import type { Machine } from "../machines/machine.ts";
import { MACHINE_STATES, type MachineState } from "../machines/states.ts";
import type { Resources } from "../machines/version.ts";
import type { Proxies } from "../proxies/proxies.ts";
import type { OutboxProgress } from "../reports/outbox-progress.ts";
import type { Store } from "../store/store.ts";

const MB = 1_024 * 1_024;

export interface MetricsParts {
  readonly starts: { readonly length: number; readonly running: number };
  readonly ledger: Ledger;
  readonly store: Pick<Store, "all" | "sequence" | "acknowledged" | "outbox">;
  readonly clock: Clock;
  readonly delivery: Pick<OutboxProgress, "stalledMs">;
  readonly disk: Pick<DiskWatch, "space">;
  readonly proxies: Proxies;
}

/** Registers the metrics that are read on demand. Call it once. */
export function exposeHost({ starts, ledger, store, clock, delivery, disk, proxies }: MetricsParts): void {
  gauge("windhover_start_queue_depth", "Starts that wait for a slot.", () => starts.length);
  gauge("windhover_starts_in_progress", "Starts that have a slot.", () => starts.running);

  const exposeSum = (key: "capacity" | "held" | "allocated" | "running", what: string) =>
    gaugeBy(`windhover_ledger_${key}`, `${what}; the resource says the unit.`, "resource", () =>
      amounts(ledger.sums()[key]),
    );
  exposeSum("capacity", "What this host may promise");
  exposeSum("held", "Held for auctions");
  exposeSum("allocated", "Allocated to machines");
  exposeSum("running", "Used by machines that run");
  gauge(
    "windhover_disk_free_bytes",
    "Free on the file system of this host's state, for others than root.",
    () => disk.space?.free ?? Number.NaN,
  );
  gauge(
    "windhover_disk_reserve_bytes",
    "Kept of that file system for the machines on the host: with less free, every bid is declined.",
    () => (disk.space ? reserveOf(disk.space) : Number.NaN),
  );
  counterOf("windhover_holds_expired_total", "Holds that expired.", () => ledger.expiredHolds);
  gaugeBy("windhover_machines", "Machines on this host, by state.", "state", () => byState(store.all()));
  const saved = "Disk of saved VMs, by what they were saved for; `resume` are those that machines run from.";
  gaugeBy("windhover_saved_bytes", saved, "kind", () => savedBytes(store.all()));
  gauge("windhover_machines_used", "Machines that proxies use, or may.", () => proxies.uses.size);
  gauge("windhover_machines_unready", "Machines that are started and not ready.", () => {
    return [...store.all()].filter((each) => each.state === "started" && !proxies.isReady(each)).length;
  });

  gauge(
    "windhover_outbox_lag_events",
    "Changes that the database does not have yet.",
    () => store.sequence - store.acknowledged,
  );
  const lag = "Age of the oldest change that the database does not have yet; 0 when it has all.";
  gauge("windhover_outbox_lag_seconds", lag, async () => {
    if (store.sequence === store.acknowledged) return 0;
    const [oldest] = await store.outbox(store.acknowledged, 1);
    return oldest ? Math.max(0, clock.now() - oldest.machine.updatedAtMs) / 1_000 : 0;
  });
  gauge(
    "windhover_outbox_stalled_seconds",
    "Time since the first failed delivery of the change that is first in the outbox; 0 when none has failed.",
    () => delivery.stalledMs / 1_000,
  );
}

function amounts({ cpus, memoryMb, diskMb }: Resources): [string, number][] {
  return [
    ["cpus", cpus],
    ["memory_bytes", memoryMb * MB],
    ["disk_bytes", diskMb * MB],
  ];
}

function savedBytes(machines: Iterable<Machine>): [string, number][] {
  const bytes = { suspend: 0, resume: 0, snapshot: 0 };
  for (const { saved, resumed, snapshot } of machines) {
    bytes.suspend += saved?.bytes ?? 0;
    bytes.resume += resumed?.bytes ?? 0;
    bytes.snapshot += snapshot?.bytes ?? 0;
  }
  return Object.entries(bytes);
}

/** Counts machines by state, zeroes included. Leaves out destroyed ones. */
function byState(machines: Iterable<{ readonly state: MachineState }>): Map<MachineState, number> {
  const counts = new Map(MACHINE_STATES.map((state) => [state, 0]));
  for (const { state } of machines) counts.set(state, (counts.get(state) ?? 0) + 1);
  counts.delete("destroyed");
  return counts;
}
