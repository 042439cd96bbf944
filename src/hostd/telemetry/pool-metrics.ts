import { counter, gauge, gaugeBy } from "../../lib/otel/metrics.ts";
import type { PoolMetrics } from "../vmm/pool-metrics.ts";
import type { Shape } from "../vmm/vmm.ts";

const MB = 1024 * 1024;

const hits = counter("windhover_pool_hits_total", "Launches that got a warm VM, by shape.", ["shape"]);
const misses = counter(
  "windhover_pool_misses_total",
  "Launches that got no warm VM and took another start path, by shape.",
  ["shape"],
);

/** Values by exact shape, because several shapes share a label. */
class ByShape {
  readonly #values = new Map<string, { readonly shape: Shape; readonly value: number }>();

  set(shape: Shape, value: number | undefined): void {
    const key = `${shape.cpus}x${shape.memoryMb}`;
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, { shape, value });
  }

  byLabel(merge: (a: number, b: number) => number): Map<string, number> {
    const merged = new Map<string, number>();
    for (const { shape, value } of this.#values.values()) {
      const label = shapeLabel(shape);
      const before = merged.get(label);
      merged.set(label, before === undefined ? value : merge(before, value));
    }
    return merged;
  }
}

const pools = new ByShape();
const templates = new ByShape();
let reclaimableMb = 0;

gauge(
  "windhover_pool_reclaimable_bytes",
  "Memory of warm VMs, those being made included; machines take it back at once.",
  () => reclaimableMb * MB,
);
gaugeBy("windhover_pool_size", "Warm VMs, by shape.", "shape", () => pools.byLabel((a, b) => a + b));
gaugeBy(
  "windhover_template_age_seconds",
  "Age of the template, by shape; the oldest of a label.",
  "shape",
  () =>
    [...templates.byLabel(Math.min)].map(
      ([label, madeAtMs]) => [label, Math.max(0, Date.now() - madeAtMs) / 1_000] as const,
    ),
);

/** Exposes the figures of the warm pool. */
export const poolMetrics: PoolMetrics = {
  waiting: (shape, count) => pools.set(shape, count),
  reclaimable(megabytes) {
    reclaimableMb = megabytes;
  },
  hit: (shape) => hits.inc({ shape: shapeLabel(shape) }),
  miss: (shape) => misses.inc({ shape: shapeLabel(shape) }),
  template: (shape, madeAtMs) => templates.set(shape, madeAtMs),
};

/** Returns CPUs and megabytes, each rounded up to a power of two, e.g. `1x256`: about fifty labels at most. */
export function shapeLabel({ cpus, memoryMb }: Shape): string {
  return `${powerOfTwo(cpus)}x${powerOfTwo(memoryMb)}`;
}

function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, value)));
}
