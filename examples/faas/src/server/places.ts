import { Problem } from "../problem.ts";

/** How many runs of one function there are at once, and how many wait. */
export interface Limits {
  readonly concurrency: number;
  readonly queue: number;
  readonly queueMs: number;
}

/** The right to run, of which there are as many as runs at once. Those who wait get it in their order. */
export class Places {
  readonly #limits: Limits;
  readonly #waiting: { resolve: () => void; readonly reject: (err: unknown) => void }[] = [];
  #taken = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Takes a place; waits for one while there is none.
   *
   * @throws Problem `QUEUE_FULL`, `QUEUE_TIMEOUT`; the reason of the signal, when the caller has left
   */
  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { concurrency, queue, queueMs } = this.#limits;
    if (this.#taken < concurrency) {
      this.#taken += 1;
      return;
    }
    if (this.#waiting.length >= queue) {
      throw new Problem(503, "QUEUE_FULL", `${queue} calls wait already`, { retryAfterS: 1 });
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject };
    this.#waiting.push(waiter);
    const leave = (err: unknown) => {
      const index = this.#waiting.indexOf(waiter);
      // It has been given a place already.
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      reject(err);
    };
    const timer = setTimeout(
      () =>
        leave(new Problem(503, "QUEUE_TIMEOUT", `no machine was free for ${queueMs} ms`, { retryAfterS: 1 })),
      queueMs,
    );
    const onAbort = () => leave(signal.reason);
    signal.addEventListener("abort", onAbort);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Gives a place back. The first who waits has it at once. */
  give(): void {
    const next = this.#waiting.shift();
    if (next) next.resolve();
    else this.#taken -= 1;
  }
}
