import type { Shape } from "../../vmm.ts";

export interface ShapeCount {
  readonly shape: Shape;
  readonly count: number;
}

/** A start, by the monotonic clock. */
export interface RecentStart {
  readonly shape: Shape;
  readonly atMs: number;
}

/** Within this time, no VM is made to replace one that a start took. */
export const BURST_MS = 5_000;

export function shapeKey({ cpus, memoryMb }: Shape): string {
  return `${cpus}x${memoryMb}`;
}

/**
 * Returns how many warm VMs of each shape the next starts are likely to need: one for each
 * startable machine, and at least as many as the largest recent burst took. Largest number first.
 */
export function wantedVms(startable: Iterable<Shape>, recent: readonly RecentStart[]): ShapeCount[] {
  const wanted = new Map<string, ShapeCount>();
  const raise = (shape: Shape, count: number): void => {
    const key = shapeKey(shape);
    if (count > (wanted.get(key)?.count ?? 0)) wanted.set(key, { shape, count });
  };
  const machines = new Map<string, number>();
  for (const shape of startable) {
    const count = (machines.get(shapeKey(shape)) ?? 0) + 1;
    machines.set(shapeKey(shape), count);
    raise(shape, count);
  }
  for (const [index, { shape, atMs }] of recent.entries()) {
    const key = shapeKey(shape);
    const burst = recent.filter(
      (other, at) => at >= index && shapeKey(other.shape) === key && other.atMs - atMs < BURST_MS,
    );
    raise(shape, burst.length);
  }
  return [...wanted.values()].sort((a, b) => b.count - a.count);
}

/** Divides memory among shapes, one VM each in turns. Leaves out shapes that get none. */
export function affordable(wanted: readonly ShapeCount[], budgetMb: number): ShapeCount[] {
  const counts = wanted.map(({ shape, count }) => ({ shape, wanted: count, count: 0 }));
  let left = budgetMb;
  for (let isGrowing = true; isGrowing; ) {
    isGrowing = false;
    for (const each of counts) {
      if (each.count >= each.wanted || each.shape.memoryMb > left) continue;
      each.count += 1;
      left -= each.shape.memoryMb;
      isGrowing = true;
    }
  }
  return counts.filter(({ count }) => count > 0).map(({ shape, count }) => ({ shape, count }));
}
