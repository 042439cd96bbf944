import type { BenchFleet } from "../lib/fleet.ts";
import type { PoolWatch, StartPath } from "./pool.ts";
import { type Sample, startAndStop } from "./sample.ts";

/** The outcome of a sequence of starts that were all to take one start path. */
export interface Sequence {
  readonly startPath: StartPath;
  /** Those that did. */
  readonly samples: readonly Sample[];
  /** How often another path was taken, by its name. */
  readonly others: ReadonlyMap<string, number>;
  /** What failed, in a word each. */
  readonly failures: readonly string[];
}

/** The first VM of a pool takes a boot, and a template one more; on a busy machine they are slow. */
const FIRST_READY_LIMIT_MS = 90_000;
const READY_LIMIT_MS = 30_000;
/**
 * Calls before the first start. Whoever starts machines is a service that has been up for a while, and so is the fleet: Node has compiled what every
 * call runs through. Without them the first hundreds of starts would measure its interpreter.
 */
const CALLS_BEFORE = 1_500;
/** So many misses or failures in a row, and it is not going to come. */
const HOPELESS = 3;

/**
 * Starts and stops one machine again and again, each time when the host is ready for a start by this path, until `count` starts have
 * taken it or it is plain that none will. A start that took another path is no sample.
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
  let inVain = 0;
  let machine = await fleet.create();
  const take = async (): Promise<boolean> => {
    try {
      const sample = await startAndStop(fleet, machine.id, signal);
      if (sample.startPath === startPath) samples.push(sample);
      else others.set(sample.startPath, (others.get(sample.startPath) ?? 0) + 1);
      return sample.startPath === startPath;
    } catch (cause) {
      signal.throwIfAborted();
      failures.push(cause instanceof Error ? cause.message : String(cause));
      // It may still be busy; it goes with the fleet at the latest.
      await fleet.clients.destroy(machine.id, true).catch(() => undefined);
      machine = await fleet.create();
      return false;
    }
  };
  for (let i = 0; i < CALLS_BEFORE && !signal.aborted; i++) await fleet.clients.get(machine.id);
  // The first start of a machine tells the host what there is demand for, and finds its disk cold.
  await take();
  samples.length = 0;
  others.clear();
  while (samples.length < count && inVain < HOPELESS) {
    signal.throwIfAborted();
    say(`${startPath} ${samples.length} of ${count}`);
    const isReady = await pool.ready(
      startPath,
      samples.length === 0 ? FIRST_READY_LIMIT_MS : READY_LIMIT_MS,
      signal,
    );
    const isHit = await take();
    inVain = isHit ? 0 : isReady ? inVain + 1 : HOPELESS;
  }
  return { startPath, samples, others, failures };
}
