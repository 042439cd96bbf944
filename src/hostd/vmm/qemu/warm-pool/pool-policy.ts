import type { Shape } from "../../vmm.ts";

/** How many VMs of a shape are wanted or may be had. */
export interface ShapeCount {
  readonly shape: Shape;
  readonly count: number;
}

/** A start that was asked for, on a monotonic clock. */
export interface RecentStart {
  readonly shape: Shape;
  readonly atMs: number;
}

/** Starts so close together find only what was waiting before the first of them. */
export const BURST_MS = 5_000;

/** Tells shapes apart. */
export function shapeKey({ cpus, memoryMb }: Shape): string {
  return `${cpus}x${memoryMb}`;
}

/**
 * How many waiting VMs of each shape would serve what is likely to come: one for each machine that could be started, and as many as the
 * largest burst among the recent starts took. The most wanted come first.
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

/**
 * How many of each shape may be had with `budgetMb` of memory: one of each first, in their order, then another of each that wants one,
 * and so on, so that no shape starves another. Shapes that get none are left out.
 */
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
