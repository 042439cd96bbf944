import pMap from "p-map";
import { within } from "../../src/lib/runtime/wait.ts";
import type { BenchFleet } from "../lib/fleet.ts";
import { countPath } from "../lib/measure/by-path.ts";
import type { PoolWatch } from "../lib/measure/pool.ts";

/** Bursts of one size. */
export interface Bursts {
  /** From the first call to the last answer, of each burst without a failure. */
  readonly ms: readonly number[];
  /** How many starts of each burst failed. */
  readonly failed: readonly number[];
  /** How many starts took each start path. */
  readonly startPaths: ReadonlyMap<string, number>;
  /** Messages of failed starts, each once. */
  readonly reasons: readonly string[];
}

/** Longer than any call takes. */
const TIMEOUT_MS = 130_000;
const READY_LIMIT_MS = 60_000;
const STOPS_AT_ONCE = 4;

/** Starts machines at once, `count` times, each time when the host's pool is full again. */
export async function measureBursts(
  { clients }: BenchFleet,
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
    const all = () => Promise.allSettled(machineIds.map((id) => clients.start(id)));
    const starts = await within(TIMEOUT_MS, "the burst", all, signal);
    const tookMs = performance.now() - startedAt;
    for (const start of starts) {
      if (start.status === "fulfilled") countPath(startPaths, start.value.startPath);
      else reasons.add(start.reason instanceof Error ? start.reason.message : String(start.reason));
    }
    const failures = starts.filter(({ status }) => status === "rejected").length;
    failed.push(failures);
    if (failures === 0) ms.push(tookMs);
    // A machine whose start failed has nothing to stop.
    const stop = (id: string) => clients.stop(id).catch(() => undefined);
    await pMap(machineIds, stop, { concurrency: STOPS_AT_ONCE, signal });
  }
  return { ms, failed, startPaths, reasons: [...reasons] };
}
