import type { BenchFleet } from "../lib/fleet.ts";
import type { PoolWatch, StartPath } from "./pool.ts";
import { type Sample, startAndStop } from "./sample.ts";

/** Starts that were to take one start path. */
export interface Sequence {
  readonly startPath: StartPath;
  /** Those that did. */
  readonly samples: readonly Sample[];
  /** How many took each other path. */
  readonly others: ReadonlyMap<string, number>;
  /** Messages of those that failed. */
  readonly failures: readonly string[];
}

/** The first VM of a pool takes a boot, and a template another; both are slow on a busy machine. */
const FIRST_READY_LIMIT_MS = 90_000;
const READY_LIMIT_MS = 30_000;
/** Calls before the first start: Node interprets code until it has run some hundred times. */
const CALLS_BEFORE = 1_500;
/** After so many misses or failures in a row, none is expected to take the path. */
const MOST_MISSES = 3;

/**
 * Starts and stops a machine, each time when the host is ready for a start by this path, until
 * `count` starts have taken it or none is expected to. A start by another path is no sample.
 */
export async function measureSequence(
  fleet: BenchFleet,
  pool: PoolWatch,
  startPath: StartPath,
  count: number,
  say: (detail: string) => void,
  signal: AbortSignal,
): Promise<Sequence> {
  const samples: Sample[] = [];
  const others = new Map<string, number>();
  const failures: string[] = [];
  let misses = 0;
  let machine = await fleet.create();
  const start = async (): Promise<boolean> => {
    try {
      const sample = await startAndStop(fleet, machine.id, signal);
      if (sample.startPath === startPath) samples.push(sample);
      else countPath(others, sample.startPath);
      return sample.startPath === startPath;
    } catch (cause) {
      signal.throwIfAborted();
      failures.push(cause instanceof Error ? cause.message : String(cause));
      // It may still be busy; then it ends with the fleet.
      await fleet.clients.destroy(machine.id, true).catch(() => undefined);
      machine = await fleet.create();
      return false;
    }
  };
  for (let i = 0; i < CALLS_BEFORE && !signal.aborted; i++) await fleet.clients.get(machine.id);
  // The first start of a machine tells the host about the demand, and its disk is not in memory.
  await start();
  samples.length = 0;
  others.clear();
  while (samples.length < count && misses < MOST_MISSES) {
    signal.throwIfAborted();
    say(`${samples.length} of ${count}`);
    const limitMs = samples.length === 0 ? FIRST_READY_LIMIT_MS : READY_LIMIT_MS;
    const isReady = await pool.ready(startPath, limitMs, signal);
    const isHit = await start();
    misses = isHit ? 0 : isReady ? misses + 1 : MOST_MISSES;
  }
  return { startPath, samples, others, failures };
}

export function countPath(counts: Map<string, number>, startPath: string): void {
  counts.set(startPath, (counts.get(startPath) ?? 0) + 1);
}

/** E.g. `warm 8, cold 2`. */
export function describePaths(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([startPath, count]) => `${startPath} ${count}`).join(", ");
}
