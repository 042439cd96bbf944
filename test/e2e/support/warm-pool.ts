import { expect } from "vitest";
import { type Bench, openBench } from "./fixture.ts";

export const SHAPE = { cpus: 1, memoryMb: 256 };
export const WARM_MEMORY_MB = 2_048;
export const READY = { timeout: 120_000, interval: 50 };

/** The pool of a VMM that keeps as many VMs of one shape warm as a test wants. */
export class WarmPool {
  readonly bench: Bench;
  wanted = 0;
  /** How much memory of the host the pool may use. */
  availableMb = 4_096;
  /** Takes memory back until so many MB are left to the pool. */
  reclaim: (leftMb: number) => void = () => {};

  private constructor(bench: Bench) {
    this.bench = bench;
    bench.vmm.keepWarm?.({
      shapes: () => Array.from({ length: this.wanted }, () => SHAPE),
      setReclaimable: (megabytes) => megabytes <= this.availableMb,
      onReclaim: (listener) => {
        this.reclaim = listener;
      },
    });
  }

  static async open(): Promise<WarmPool> {
    return new WarmPool(await openBench({ warmMemoryMb: WARM_MEMORY_MB }));
  }

  /** How many VMs are warm now. */
  get size(): number {
    return this.bench.vmm.warm?.(SHAPE) ?? 0;
  }

  /** Waits until there are that many warm VMs. */
  async fill(count: number): Promise<void> {
    this.wanted = count;
    await expect.poll(() => this.size, READY).toBeGreaterThanOrEqual(count);
  }
}
