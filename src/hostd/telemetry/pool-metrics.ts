import { counter, gauge, gaugeBy } from "../../lib/otel/metrics.ts";
import type { PoolMetrics } from "../vmm/pool-metrics.ts";
import type { Shape } from "../vmm/vmm.ts";

const hits = counter("windhover_pool_hits_total", "Launches served by a VM that waited, by shape.", [
  "shape",
]);
const misses = counter(
  "windhover_pool_misses_total",
  "Launches that found no VM waiting and took another way, by shape.",
  ["shape"],
);

/** By true shape: two that share a label are added up, or the older one is told. */
const pools = new Map<string, { readonly shape: Shape; readonly value: number }>();
const templates = new Map<string, { readonly shape: Shape; readonly value: number }>();

let lentMb = 0;
const MB = 1024 * 1024;

gauge(
  "windhover_pool_reclaimable_bytes",
  "Memory lent to VMs that wait, or are just being made; machines get it back at once.",
  () => lentMb * MB,
);
gaugeBy("windhover_pool_size", "VMs that wait, booted, by shape.", "shape", () =>
  byLabel(pools.values(), (sum, count) => sum + count, 0),
);
gaugeBy(
  "windhover_template_age_seconds",
  "Age of the template, by shape; the oldest of a label.",
  "shape",
  () =>
    byLabel(
      [...templates.values()].map(({ shape, value }) => ({ shape, value: ageSeconds(value) })),
      Math.max,
      0,
    ),
);

/** Exposes what the pool says. */
export const poolMetrics: PoolMetrics = {
  waiting: (shape, count) => void pools.set(exactly(shape), { shape, value: count }),
  reclaimable(megabytes) {
    lentMb = megabytes;
  },
  hit: (shape) => hits.inc({ shape: shapeLabel(shape) }),
  miss: (shape) => misses.inc({ shape: shapeLabel(shape) }),
  template(shape, madeAtMs) {
    if (madeAtMs === undefined) templates.delete(exactly(shape));
    else templates.set(exactly(shape), { shape, value: madeAtMs });
  },
};

/**
 * `1x256`: CPUs and megabytes, each rounded up to a power of two. Sizes are the users' choice; rounded there are some fifty labels at most.
 */
export function shapeLabel({ cpus, memoryMb }: Shape): string {
  return `${powerOfTwo(cpus)}x${powerOfTwo(memoryMb)}`;
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, value)));
}

function exactly({ cpus, memoryMb }: Shape): string {
  return `${cpus}x${memoryMb}`;
}

function ageSeconds(madeAtMs: number): number {
  return Math.max(0, Date.now() - madeAtMs) / 1_000;
}

function byLabel(
  entries: Iterable<{ readonly shape: Shape; readonly value: number }>,
  merge: (a: number, b: number) => number,
  neutral: number,
): Map<string, number> {
  const merged = new Map<string, number>();
  for (const { shape, value } of entries) {
    const label = shapeLabel(shape);
    merged.set(label, merge(merged.get(label) ?? neutral, value));
  }
  return merged;
}
