import { hasReason } from "../../lib/faults/fault.ts";
import type { Semaphore } from "../../lib/limits/semaphore.ts";
import { type Backoff, backoffMs } from "../../lib/runtime/backoff.ts";
import type { Clock } from "../../lib/runtime/clock.ts";
import { sleep } from "../../lib/runtime/wait.ts";
import { OUTAGE_LIMIT_MS } from "./log-follower.ts";

const FIRST_ANSWER_LIMIT_MS = 5_000;
const RETRY: Backoff = { firstMs: 100, maxMs: 1_000 };

export interface ReaderParts {
  /** Bounds the reads of all watches. */
  readonly reads: Semaphore;
  readonly clock: Pick<Clock, "monotonicMs">;
}

/** Reads from the database for one watch. Retries for 5 s at first and for 30 s once it has answered. */
export class DatabaseReader {
  readonly #parts: ReaderParts;
  readonly #org: string;
  readonly #signal: AbortSignal;
  #hasAnswered = false;

  constructor(parts: ReaderParts, org: string, signal: AbortSignal) {
    this.#parts = parts;
    this.#org = org;
    this.#signal = signal;
  }

  async read<T>(work: () => Promise<T>): Promise<T> {
    const { reads, clock } = this.#parts;
    const limitMs = this.#hasAnswered ? OUTAGE_LIMIT_MS : FIRST_ANSWER_LIMIT_MS;
    const untilMs = clock.monotonicMs() + limitMs;
    for (let failures = 0; ; failures++) {
      try {
        const release = await reads.acquire(this.#signal, this.#org);
        try {
          const found = await work();
          this.#hasAnswered = true;
          return found;
        } finally {
          release();
        }
      } catch (err) {
        if (!hasReason(err, "DATABASE_UNAVAILABLE") || clock.monotonicMs() >= untilMs) throw err;
        await sleep(backoffMs(RETRY, failures), this.#signal);
        this.#signal.throwIfAborted();
      }
    }
  }
}
