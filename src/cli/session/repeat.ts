import { Fault } from "../../lib/faults/fault.ts";
import { sleep } from "../../lib/runtime/wait.ts";

/** Refusals after which nothing was done, so that any call may be repeated. */
const REFUSALS: ReadonlySet<string> = new Set([
  ...["RATE_LIMITED", "CREATES_IN_PROGRESS", "TOO_MANY_CALLS", "TOO_MANY_STREAMS"],
]);
/** A longer wait is the user's to decide on. */
const MAX_WAIT_MS = 10_000;
const MAX_TOTAL_MS = 60_000;
/** Of the wait, so that those who were refused together do not come back together. */
const JITTER = 0.25;

/** Waits as the API has asked after refusals, within bounds. */
export class Repeats {
  readonly #say: (line: string) => void;
  readonly #signal: AbortSignal;
  readonly #random: () => number;
  #leftMs = MAX_TOTAL_MS;

  constructor(say: (line: string) => void, signal: AbortSignal, random: () => number = Math.random) {
    this.#say = say;
    this.#signal = signal;
    this.#random = random;
  }

  /** Waits until the call may be repeated. Throws the error when that is not safe or takes long. */
  async wait(err: unknown): Promise<void> {
    if (!(err instanceof Fault) || !REFUSALS.has(err.reason) || err.retryAfterMs === undefined) throw err;
    const waitMs = err.retryAfterMs * (1 + JITTER * this.#random());
    if (waitMs > MAX_WAIT_MS || waitMs > this.#leftMs) throw err;
    this.#leftMs -= waitMs;
    this.#say(`Too many calls (${err.reason}); asking again in ${(waitMs / 1_000).toFixed(1)} s.`);
    await sleep(waitMs, this.#signal);
    this.#signal.throwIfAborted();
  }
}
