import { type Fault, hasReason } from "../../lib/faults/fault.ts";
import { startLoop } from "../../lib/runtime/lifecycle.ts";
import type { LeaseStore } from "../database/lease-store.ts";

export interface Task {
  /** Shown in logs; also the name of its lease. */
  readonly name: string;
  /** Between the end of a round and the next. */
  readonly intervalMs: number;
  /** Set for a task that one api at a time should do. */
  readonly leaseMs?: number;
  run(signal: AbortSignal): unknown;
}

/**
 * Starts tasks, each in a loop of its own, so that a slow one delays no other. Returns a function
 * that stops them. `GatedDatabase` logs outages of the database; the tasks do not. Those that one api
 * does are logged when their statements take too long: they would never be done, unnoticed.
 */
export function startMaintenance(
  tasks: readonly Task[],
  leases: Pick<LeaseStore, "acquire">,
): () => Promise<void> {
  const stops = tasks.map(({ name, intervalMs, leaseMs, run }) => {
    const round = async (signal: AbortSignal): Promise<void> => {
      try {
        if (leaseMs === undefined || (await leases.acquire(name, leaseMs))) await run(signal);
      } catch (err) {
        if (!hasReason(err, "DATABASE_UNAVAILABLE") || (leaseMs !== undefined && isTooLong(err))) throw err;
      }
    };
    return startLoop(intervalMs, intervalMs / 4, round, { name });
  });
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

function isTooLong({ facts }: Fault): boolean {
  return facts["why"] === "DATABASE_TIMEOUT";
}
