import type { Shape } from "../../vmm.ts";
import { shapeKey } from "./pool-policy.ts";

/** What is kept of a shape. */
interface Times {
  /** When VMs were taken that are not replaced, by the monotonic clock. Oldest first. */
  readonly takenMs: number[];
  /** Oldest first. */
  readonly refillsMs: number[];
}

const MAX_KEPT = 64;

/** Measures how long a pool takes to replace the VMs that starts take. */
export class Refills {
  readonly #times = new Map<string, Times>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  taken(shape: Shape): void {
    const { takenMs } = this.#of(shape);
    if (takenMs.length < MAX_KEPT) takenMs.push(this.#now());
  }

  added(shape: Shape): void {
    const { takenMs, refillsMs } = this.#of(shape);
    const sinceMs = takenMs.shift();
    if (sinceMs === undefined) return;
    refillsMs.push(Math.round(this.#now() - sinceMs));
    if (refillsMs.length > MAX_KEPT) refillsMs.shift();
  }

  /** The pool has as many as it needs: those that were taken are not replaced. */
  full(shape: Shape): void {
    this.#times.get(shapeKey(shape))?.takenMs.splice(0);
  }

  /** Returns the oldest time that was not returned yet. */
  next(shape: Shape): number | undefined {
    return this.#times.get(shapeKey(shape))?.refillsMs.shift();
  }

  #of(shape: Shape): Times {
    const key = shapeKey(shape);
    const times = this.#times.get(key) ?? { takenMs: [], refillsMs: [] };
    this.#times.set(key, times);
    return times;
  }
}
