import { Problem } from "../problem.ts";
import { type Limits, Places } from "./places.ts";

/** A machine whose function is loaded. */
export interface RunningMachine {
  readonly id: string;
  readonly region: string;
  /** `host:port` of its runner. */
  readonly address: string;
}

/** How a run got its machine. */
export interface Lent {
  readonly machine: RunningMachine;
  /** `running`, or the start path: `warm`, `template`, `cold`. */
  readonly path: string;
  readonly queueMs: number;
  readonly startMs: number;
}

/** What a pool needs. */
export interface PoolParts {
  readonly limits: Limits;
  /** After which machines exit by themselves. */
  readonly idleMs: number;
  /** Gets a machine that nobody has, started and ready. */
  acquire(signal: AbortSignal): Promise<{ readonly machine: RunningMachine; readonly path: string }>;
  /** Stops a machine whose run has not ended. */
  discard(machine: RunningMachine): void;
  now?(): number;
}

/** A run that has not begun: the machine is busy, or has gone. Another machine may take it. */
export class NotBegun extends Error {}

/** A machine that exits this soon is not used: the call would meet its end. */
const EXIT_MARGIN_MS = 5_000;
const MAX_TRIES = 3;

/** The machines of one version of a function: each has one run at a time. */
export class Pool {
  readonly #parts: PoolParts;
  readonly #places: Places;
  readonly #now: () => number;
  /** Machines without a run, and since when. The last is the most recently used. */
  #free: { readonly machine: RunningMachine; readonly sinceMs: number }[] = [];

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#places = new Places(parts.limits);
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Runs that go on, runs that wait, and machines that wait for runs. */
  get counts(): { readonly running: number; readonly queued: number; readonly free: number } {
    return { running: this.#places.taken, queued: this.#places.waiting, free: this.#free.length };
  }

  /**
   * Calls `work` with a machine that has no other run. When it fails, nobody knows what the machine
   * does: it is stopped.
   */
  async run<T>(work: (lent: Lent) => Promise<T>, signal: AbortSignal): Promise<T> {
    const askedMs = this.#now();
    await this.#places.take(signal);
    const queueMs = this.#now() - askedMs;
    try {
      for (let tries = 1; ; tries++) {
        const lent = await this.#machine(queueMs, signal);
        try {
          const result = await work(lent);
          this.#free.push({ machine: lent.machine, sinceMs: this.#now() });
          return result;
        } catch (err) {
          // A machine without our run is somebody else's, or is ending.
          if (!(err instanceof NotBegun)) this.#parts.discard(lent.machine);
          else if (tries < MAX_TRIES) continue;
          else throw new Problem(503, "MACHINES_BUSY", err.message, { retryAfterS: 1, cause: err });
          throw err;
        }
      }
    } finally {
      this.#places.give();
    }
  }

  /** Forgets a machine that does not run any more. */
  forget(id: string): void {
    this.#free = this.#free.filter(({ machine }) => machine.id !== id);
  }

  async #machine(queueMs: number, signal: AbortSignal): Promise<Lent> {
    const startedMs = this.#now();
    // Machines exit after the same idle time that is counted here, from a later moment.
    const usableMs = Math.max(this.#parts.idleMs - EXIT_MARGIN_MS, this.#parts.idleMs / 2);
    this.#free = this.#free.filter(({ sinceMs }) => startedMs - sinceMs < usableMs);
    // The most recently used first, so that the others become idle.
    const free = this.#free.pop();
    if (free) return { machine: free.machine, path: "running", queueMs, startMs: 0 };
    const acquired = await this.#parts.acquire(signal);
    return { ...acquired, queueMs, startMs: this.#now() - startedMs };
  }
}
