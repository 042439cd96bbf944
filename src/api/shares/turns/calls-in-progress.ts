import type { Claims } from "../../../lib/auth/claims.ts";
import { Fault } from "../../../lib/faults/fault.ts";
import { Concurrency } from "../../../lib/limits/concurrency.ts";
import { refusedInProgress } from "../metrics.ts";

/** How much an organisation may have under way at one api. */
export interface InProgressLimits {
  readonly calls: number;
  /** Waits, logs, commands, and other calls that last until their caller ends them. */
  readonly streams: number;
}

export const DEFAULT_IN_PROGRESS_LIMITS: InProgressLimits = { calls: 512, streams: 512 };

/** Methods that last. */
const STREAMS = /\/(?:WaitMachine|StreamLogs|RunCommand|ExecMachine|Watch\w*|DrainHost|ReadAudit)$/;
const RETRY_AFTER_MS = 1_000;

/**
 * Bounds the calls of each organisation that are under way here, until their streams are closed: an answer that is not read
 * counts. Each api counts its own.
 */
export class CallsInProgress {
  readonly #calls: Concurrency;
  readonly #streams: Concurrency;

  constructor({ calls, streams }: InProgressLimits) {
    this.#calls = new Concurrency(calls, tooMany("TOO_MANY_CALLS", "calls"));
    this.#streams = new Concurrency(streams, tooMany("TOO_MANY_STREAMS", "waits and streams"));
  }

  /**
   * Takes a place for a call, by its path. Returns a function that releases it.
   *
   * @throws Fault RESOURCE_EXHAUSTED / `TOO_MANY_CALLS`, `TOO_MANY_STREAMS`
   */
  take({ org }: Pick<Claims, "org">, path: string): () => void {
    const isStream = STREAMS.test(path);
    try {
      return (isStream ? this.#streams : this.#calls).take(org);
    } catch (err) {
      refusedInProgress.inc({ kind: isStream ? "streams" : "calls" });
      throw err;
    }
  }

  get calls(): number {
    return this.#calls.total;
  }

  get streams(): number {
    return this.#streams.total;
  }
}

function tooMany(reason: string, what: string) {
  return (org: string, limit: number) =>
    new Fault(
      "RESOURCE_EXHAUSTED",
      reason,
      `organisation ${org} has ${limit} ${what} under way at this api, as many as it may; try again when some have ended`,
      { org, limit: String(limit), in_progress: String(limit) },
      { retryAfterMs: RETRY_AFTER_MS },
    );
}
