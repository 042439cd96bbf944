import { Fault } from "../../lib/faults/fault.ts";
import {
  counter,
  counterOf,
  gauge,
  gaugeBy,
  OUTCOMES,
  type OutcomeLabel,
  outcomeOf,
  secondsHistogram,
} from "../../lib/otel/metrics.ts";
import { reserveOf } from "../availability/host-disk.ts";
import type { Bid } from "../capacity/bid.ts";
import type { Host, Meter } from "../machines/host.ts";
import type { Resources } from "../machines/machine.ts";
import { MACHINE_STATES, type MachineState } from "../machines/states.ts";
import type { OutboxEntry } from "../store/store.ts";

const MB = 1_024 * 1_024;

/** Fine where warm starts are, with the figures to keep to among them (60, 150, 400 and 900 ms), and up to a cold start on a loaded machine. */
const START_BUCKETS = [
  ...[0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2],
  ...[0.3, 0.4, 0.6, 0.9, 1.5, 3, 5, 10, 20, 30, 60],
];

const startSeconds = secondsHistogram(
  "windhover_start_duration_seconds",
  "Duration of starts on this host, from accepted to exec'ed, with the time spent waiting for a turn.",
  ["start_path", "outcome"],
  START_BUCKETS,
);
for (const startPath of ["warm", "template", "cold"])
  startSeconds.zero({ start_path: startPath, outcome: "ok" });

const stopSeconds = secondsHistogram(
  "windhover_stop_duration_seconds",
  "Duration of stops on this host, from accepted to the process's end.",
  ["outcome"],
);
for (const outcome of OUTCOMES) stopSeconds.zero({ outcome });

const refusals = counter(
  "windhover_refusals_total",
  "Bids, awards, starts and stops that this host declined or could not carry out, by reason.",
  ["operation", "reason"],
);

/** Measures starts, stops and awards. */
export const meter: Meter = {
  award: (work) => countingRefusals("award", work),
  async start(work) {
    const since = performance.now();
    let startPath = "none";
    let outcome: OutcomeLabel = "ok";
    try {
      const result = await countingRefusals("start", work);
      startPath = result.startPath;
      return result;
    } catch (err) {
      outcome = outcomeOf(err);
      throw err;
    } finally {
      startSeconds.observe({ start_path: startPath, outcome }, secondsSince(since));
    }
  },
  async stop(work) {
    const since = performance.now();
    let outcome: OutcomeLabel = "ok";
    try {
      return await countingRefusals("stop", work);
    } catch (err) {
      outcome = outcomeOf(err);
      throw err;
    } finally {
      stopSeconds.observe({ outcome }, secondsSince(since));
    }
  },
};

/** Counts a bid that was declined. @returns the bid */
export function countBid(bid: Bid): Bid {
  if (bid.kind === "decline") refusals.inc({ operation: "bid", reason: bid.reason });
  return bid;
}

/** What a host knows when it is asked. */
export interface HostView {
  readonly host: Pick<Host, "starts" | "ledger" | "store" | "clock" | "disk">;
  readonly outbox: {
    readonly sequence: number;
    readonly acknowledged: number;
    outbox(after: number, limit: number): Promise<readonly OutboxEntry[]>;
  };
}

/** Exposes what is known now; once per process. */
export function exposeHost({ host, outbox }: HostView): void {
  const { starts, ledger, store, clock, disk } = host;
  gauge("windhover_start_queue_depth", "Starts that wait for their turn.", () => starts.length);
  gauge("windhover_starts_in_progress", "Starts whose turn it is.", () => starts.running);

  const sums = { capacity: "What this host may promise", held: "Held for auctions" };
  const used = { allocated: "Allocated to machines", running: "Used by machines that run" };
  for (const [key, what] of Object.entries({ ...sums, ...used })) {
    // The keys are those of the two literals above.
    const read = () => amounts(ledger.sums()[key as keyof typeof sums | keyof typeof used]);
    gaugeBy(`windhover_ledger_${key}`, `${what}; the resource says the unit.`, "resource", read);
  }
  gauge(
    "windhover_disk_free_bytes",
    "Free on the file system of this host's state, for others than root.",
    () => disk.space?.free ?? Number.NaN,
  );
  gauge(
    "windhover_disk_reserve_bytes",
    "What of that file system is kept for the machines there are: with less, no bid gets an offer.",
    () => (disk.space ? reserveOf(disk.space) : Number.NaN),
  );
  counterOf("windhover_holds_expired_total", "Holds that ended by time.", () => ledger.expiredHolds);
  gaugeBy("windhover_machines", "Machines on this host, by state.", "state", () => byState(store.all()));

  gauge(
    "windhover_outbox_lag_events",
    "Changes that the central record does not have yet.",
    () => outbox.sequence - outbox.acknowledged,
  );
  const lag = "Age of the oldest change that the central record does not have yet; 0 when it has all.";
  gauge("windhover_outbox_lag_seconds", lag, async () => {
    if (outbox.sequence === outbox.acknowledged) return 0;
    const [oldest] = await outbox.outbox(outbox.acknowledged, 1);
    return oldest ? Math.max(0, clock.now() - oldest.machine.updatedAtMs) / 1_000 : 0;
  });
}

async function countingRefusals<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (err) {
    const reason = err instanceof Fault ? err.reason.toLowerCase() : "internal";
    refusals.inc({ operation, reason });
    throw err;
  }
}

function secondsSince(ms: number): number {
  return (performance.now() - ms) / 1_000;
}

function amounts({ cpus, memoryMb, diskMb }: Resources): [string, number][] {
  return [
    ["cpus", cpus],
    ["memory_bytes", memoryMb * MB],
    ["disk_bytes", diskMb * MB],
  ];
}

/** Every state a machine can be in, also those in which none is; what is gone is not counted. */
function byState(machines: Iterable<{ readonly state: MachineState }>): Map<MachineState, number> {
  const counts = new Map(MACHINE_STATES.map((state) => [state, 0]));
  for (const { state } of machines) counts.set(state, (counts.get(state) ?? 0) + 1);
  counts.delete("destroyed");
  return counts;
}
