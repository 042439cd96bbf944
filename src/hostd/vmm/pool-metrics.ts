import type { Shape } from "./vmm.ts";

/** Where a pool of waiting VMs says how it does. Calls cost next to nothing and never throw. */
export interface PoolMetrics {
  /** So many VMs of this shape wait now; 0 when the last is gone. */
  waiting(shape: Shape, count: number): void;
  /** So many megabytes of the host's memory are lent to VMs that wait, or are just being made. */
  lent(megabytes: number): void;
  /** A launch was served by a waiting VM. */
  hit(shape: Shape): void;
  /** A launch found no waiting VM, or none that worked, and took another way. */
  miss(shape: Shape): void;
  /** There is a template of this shape, made at this time, in milliseconds since the epoch. Undefined: there is none any more. */
  template(shape: Shape, madeAtMs: number | undefined): void;
}
