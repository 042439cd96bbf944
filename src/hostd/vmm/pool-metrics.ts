import type { Shape } from "./vmm.ts";

/** Where a warm pool reports its figures. Calls are cheap and never throw. */
export interface PoolMetrics {
  waiting(shape: Shape, count: number): void;
  /** Memory of warm VMs, those being made included. */
  reclaimable(megabytes: number): void;
  /** A launch got a warm VM. */
  hit(shape: Shape): void;
  /** A launch got none and took another start path. */
  miss(shape: Shape): void;
  /** A template was made at this time, in ms since the epoch. Undefined: it was removed. */
  template(shape: Shape, madeAtMs: number | undefined): void;
}

export const NO_POOL_METRICS: PoolMetrics = {
  ...{ waiting() {}, reclaimable() {}, hit() {}, miss() {}, template() {} },
};
