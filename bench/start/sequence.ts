import type { BenchFleet } from "../lib/fleet.ts";
import { type ByPath, measureByPath } from "../lib/measure/by-path.ts";
import type { PoolWatch, StartPath } from "../lib/measure/pool.ts";
import { type Sample, startAndStop } from "./sample.ts";

/** Starts that were to take one start path. */
export interface Sequence extends ByPath<Sample> {
  readonly startPath: StartPath;
}

/** Calls before the first start: Node interprets code until it has run some hundred times. */
const CALLS_BEFORE = 1_500;

/** Starts and stops a machine until `count` starts have taken a start path, or none is expected to. */
export async function measureSequence(
  fleet: BenchFleet,
  pool: PoolWatch,
  startPath: StartPath,
  count: number,
  say: (detail: string) => void,
  signal: AbortSignal,
): Promise<Sequence> {
  let machine = await fleet.create();
  for (let i = 0; i < CALLS_BEFORE && !signal.aborted; i++) await fleet.clients.get(machine.id);
  const series = {
    ...{ startPath, count },
    ready: (limitMs: number) => pool.ready(startPath, limitMs, signal),
    start: () => startAndStop(fleet, machine.id, signal),
    async recover() {
      // It may still be busy; then it ends with the fleet.
      await fleet.clients.destroy(machine.id, true).catch(() => undefined);
      machine = await fleet.create();
    },
  };
  return { startPath, ...(await measureByPath(series, say, signal)) };
}
