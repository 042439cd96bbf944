import { within } from "../../src/lib/runtime/wait.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import type { PoolWatch } from "./pool.ts";

/** What came of bursts of one size. */
export interface Bursts {
  readonly size: number;
  /** For each burst without a failure: from the first call until the last answer, in milliseconds. */
  readonly ms: readonly number[];
  /** For each burst: how many starts failed. */
  readonly failed: readonly number[];
  /** How many starts took which start path. */
  readonly startPaths: ReadonlyMap<string, number>;
  /** What failed starts said, each text once. */
  readonly reasons: readonly string[];
}

/** Longer than any call may take. */
const TIMEOUT_MS = 130_000;
const READY_LIMIT_MS = 60_000;
const STOPS_AT_ONCE = 4;

/** Starts `size` machines at once, `count` times, each time when the host's pool has filled up again. */
export async function measureBursts(
  fleet: BenchFleet,
  pool: PoolWatch,
  machineIds: readonly string[],
  count: number,
  hasPool: boolean,
  signal: AbortSignal,
): Promise<Bursts> {
  const ms: number[] = [];
  const failed: number[] = [];
  const startPaths = new Map<string, number>();
  const reasons = new Set<string>();
  for (let burst = 0; burst < count; burst++) {
    signal.throwIfAborted();
    await pool.ready(hasPool ? "warm" : "cold", READY_LIMIT_MS, signal);
    const startedAt = performance.now();
    const all = () => Promise.allSettled(machineIds.map((id) => fleet.clients.start(id)));
    const starts = await within(TIMEOUT_MS, "the burst", all, signal);
    const tookMs = performance.now() - startedAt;
    for (const start of starts) {
      if (start.status === "fulfilled")
        startPaths.set(start.value.startPath, (startPaths.get(start.value.startPath) ?? 0) + 1);
      else reasons.add(start.reason instanceof Error ? start.reason.message : String(start.reason));
    }
    const failures = starts.filter(({ status }) => status === "rejected").length;
    failed.push(failures);
    if (failures === 0) ms.push(tookMs);
    await stopAll(fleet, machineIds, signal);
  }
  return { size: machineIds.length, ms, failed, startPaths, reasons: [...reasons] };
}

async function stopAll(fleet: BenchFleet, ids: readonly string[], signal: AbortSignal): Promise<void> {
  const left = [...ids];
  const worker = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      signal.throwIfAborted();
      // A machine whose start failed has nothing to stop.
      await fleet.clients.stop(id).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: STOPS_AT_ONCE }, worker));
}
