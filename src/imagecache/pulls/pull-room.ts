import { Semaphore } from "../../lib/limits/semaphore.ts";
import type { DiskBudget } from "../disk/disk-budget.ts";

/** Few enough that little is evicted for a registry that sends little. */
const STEP_BYTES = 64 * 1024 * 1024;

/**
 * Makes room on disk for the layers of a pull as they come, since what a manifest says about their sizes may be a lie, and
 * would evict what others use.
 */
export class PullRoom {
  readonly #budget: Pick<DiskBudget, "makeRoom">;
  /** Of the layers, for which no room is made yet. */
  #leftBytes: number;
  #freeBytes = 0;
  #making: Promise<void> | undefined;

  constructor(budget: Pick<DiskBudget, "makeRoom">, bytes: number) {
    this.#budget = budget;
    this.#leftBytes = bytes;
  }

  /** Takes room for bytes that are about to be written. @throws Fault RESOURCE_EXHAUSTED / `DISK_FULL` */
  async take(bytes: number): Promise<void> {
    this.#freeBytes -= bytes;
    while (this.#freeBytes < 0) {
      this.#making ??= this.#make().finally(() => {
        this.#making = undefined;
      });
      await this.#making;
    }
  }

  async #make(): Promise<void> {
    const bytes = Math.max(-this.#freeBytes, Math.min(STEP_BYTES, this.#leftBytes));
    await this.#budget.makeRoom(bytes);
    this.#leftBytes -= bytes;
    this.#freeBytes += bytes;
  }
}

/** Bounds the layers that the pulls of one organisation take while they are under way, when none can be evicted. */
export class LayerShares {
  readonly #limitBytes: number;
  readonly #bytes = new Map<string, number>();
  readonly #semaphore = new Semaphore({
    ...{ permits: Number.POSITIVE_INFINITY, maxWaiting: Number.POSITIVE_INFINITY },
    full: () => new Error("unreachable"),
  });

  /** @param limitBytes for an organisation; one pull may take more when it is alone */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Runs a pull of layers of `bytes`, when its organisation's share has room. @throws the signal's reason */
  async run<T>(work: () => Promise<T>, signal: AbortSignal, org: string, bytes: number): Promise<T> {
    const add = (more: number) => {
      const sum = (this.#bytes.get(org) ?? 0) + more;
      if (sum === 0) this.#bytes.delete(org);
      else this.#bytes.set(org, sum);
    };
    const claim = () => {
      const taken = this.#bytes.get(org) ?? 0;
      if (taken > 0 && taken + bytes > this.#limitBytes) return undefined;
      add(bytes);
      return () => add(-bytes);
    };
    const release = await this.#semaphore.acquire(signal, org, claim);
    try {
      return await work();
    } finally {
      release();
    }
  }
}
