/** A series of starts that are to take one start path. */
export interface PathSeries<S> {
  readonly startPath: string;
  /** How many starts are to take it. */
  readonly count: number;
  /** No start begins later than this. Default: none. */
  readonly limitMs?: number;
  /** Waits for `limitMs` at most; resolves with whether a start is likely to take the path. */
  ready(limitMs: number): Promise<boolean>;
  /** Starts a machine, and stops it again. */
  start(): Promise<S>;
  /** Is called after a start that has failed. */
  recover(): Promise<void>;
}

/** Starts that were to take one start path. */
export interface ByPath<S> {
  /** Those that did. */
  readonly samples: readonly S[];
  /** How many took each other path. */
  readonly others: ReadonlyMap<string, number>;
  /** Messages of those that failed. */
  readonly failures: readonly string[];
}

/** The first VM of a pool takes a boot, and a template another; both are slow on a busy machine. */
const FIRST_READY_LIMIT_MS = 90_000;
const READY_LIMIT_MS = 30_000;
/** After so many misses or failures in a row, none is expected to take the path. */
const MOST_MISSES = 3;

/**
 * Starts and stops a machine, each time when the host is ready for a start by this path, until
 * `count` starts have taken it or none is expected to. A start by another path is no sample, and
 * neither is the first start.
 */
export async function measureByPath<S extends { readonly startPath: string }>(
  series: PathSeries<S>,
  say: (detail: string) => void,
  signal: AbortSignal,
): Promise<ByPath<S>> {
  const { startPath, count, limitMs = Number.POSITIVE_INFINITY } = series;
  const samples: S[] = [];
  const others = new Map<string, number>();
  const failures: string[] = [];
  const deadline = performance.now() + limitMs;
  let misses = 0;
  const start = async (): Promise<boolean> => {
    try {
      const sample = await series.start();
      if (sample.startPath === startPath) samples.push(sample);
      else countPath(others, sample.startPath);
      return sample.startPath === startPath;
    } catch (cause) {
      signal.throwIfAborted();
      failures.push(cause instanceof Error ? cause.message : String(cause));
      await series.recover();
      return false;
    }
  };
  // The first start of a machine tells the host about the demand, and its disk is not in memory.
  await start();
  samples.length = 0;
  others.clear();
  while (samples.length < count && misses < MOST_MISSES && performance.now() < deadline) {
    signal.throwIfAborted();
    say(`${samples.length} of ${count}`);
    const isReady = await series.ready(samples.length === 0 ? FIRST_READY_LIMIT_MS : READY_LIMIT_MS);
    const isHit = await start();
    misses = isHit ? 0 : isReady ? misses + 1 : MOST_MISSES;
  }
  return { samples, others, failures };
}

export function countPath(counts: Map<string, number>, startPath: string): void {
  counts.set(startPath, (counts.get(startPath) ?? 0) + 1);
}

/** E.g. `warm 8, cold 2`. */
export function describePaths(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([startPath, count]) => `${startPath} ${count}`).join(", ");
}
