import { hasReason } from "../../../lib/faults/fault.ts";
import { type Backoff, backoffMs } from "../../../lib/runtime/backoff.ts";
import { sleep } from "../../../lib/runtime/wait.ts";

const RETRY: Backoff = { firstMs: 50, maxMs: 1_000 };
/** Time without its host after which a stream fails: before the host has answered, and afterwards. */
const FIRST_ANSWER_LIMIT_MS = 5_000;
const RESUME_LIMIT_MS = 30_000;

/** The time for which a host does not answer, e.g. because it restarts. */
export class Absence {
  readonly #limitMs: number;
  #sinceMs: number | undefined;
  #failures = 0;

  /** @param hasAnswered whether the host has answered before */
  constructor(hasAnswered = false) {
    this.#limitMs = hasAnswered ? RESUME_LIMIT_MS : FIRST_ANSWER_LIMIT_MS;
  }

  /** Waits before the next attempt. Returns false, at once, when there should be none. */
  async pause(err: unknown, signal: AbortSignal | undefined): Promise<boolean> {
    if (!hasReason(err, "HOST_UNREACHABLE") || signal?.aborted) return false;
    this.#sinceMs ??= performance.now();
    if (performance.now() - this.#sinceMs >= this.#limitMs) return false;
    await sleep(backoffMs(RETRY, this.#failures++), signal);
    return !signal?.aborted;
  }
}

/** Repeats `work` while its host, which has answered before, does not answer. */
export async function whileAway<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const away = new Absence(true);
  for (;;) {
    try {
      return await work();
    } catch (err) {
      if (!(await away.pause(err, signal))) throw err;
    }
  }
}
