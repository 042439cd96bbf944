import { onAbort } from "../../lib/runtime/abort.ts";

/** Work that several callers wait for. */
interface Flight<P, R> {
  readonly result: Promise<R>;
  readonly abort: AbortController;
  readonly wake: Set<() => void>;
  waiting: number;
  progress: P | undefined;
  settled: boolean;
}

/** What a flight is given: where to say how far it has come, and when to give up. */
export type Work<P, R> = (report: (progress: P) => void, signal: AbortSignal) => Promise<R>;

/**
 * Does each thing once however many ask for it at the same time. Everyone sees its progress and its outcome; it is
 * broken off only when nobody waits for it any more.
 */
export class Flights<P, R> {
  readonly #flights = new Map<string, Flight<P, R>>();
  readonly #hold: (shown: P, next: P) => number;

  /** @param hold how many milliseconds to hold `next` back after `shown`; what comes meanwhile replaces it */
  constructor(hold: (shown: P, next: P) => number = () => 0) {
    this.#hold = hold;
  }

  /**
   * Joins the work under `key`, beginning it when nobody has. Yields progress, skipping to the latest when the caller is
   * slow, and returns the outcome.
   *
   * @throws what the work throws, or the signal's reason
   */
  async *join(key: string, signal: AbortSignal, work: Work<P, R>): AsyncGenerator<P, R, void> {
    const flight = await this.#board(key, signal, work);
    let wake: (() => void) | undefined;
    const onChange = () => wake?.();
    flight.wake.add(onChange);
    using _ = onAbort(signal, onChange);
    let shown: P | undefined;
    let shownMs = 0;
    try {
      for (;;) {
        signal.throwIfAborted();
        if (flight.settled) return await flight.result;
        const { progress } = flight;
        const isNews = progress !== undefined && progress !== shown;
        const dueMs =
          isNews && shown !== undefined ? shownMs + this.#hold(shown, progress) - performance.now() : 0;
        if (isNews && dueMs <= 0) {
          shown = progress;
          shownMs = performance.now();
          yield progress;
          continue;
        }
        await new Promise<void>((resolve) => {
          const timer = isNews ? setTimeout(resolve, dueMs) : undefined;
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally {
      flight.wake.delete(onChange);
      flight.waiting--;
      if (flight.waiting === 0 && !flight.settled)
        flight.abort.abort(new Error("nobody waits for it any more"));
    }
  }

  /** Joins and waits, without looking at the progress. */
  async wait(key: string, signal: AbortSignal, work: Work<P, R>): Promise<R> {
    const steps = this.join(key, signal, work);
    for (;;) {
      const step = await steps.next();
      if (step.done) return step.value;
    }
  }

  /** How many are in the air. */
  get size(): number {
    return this.#flights.size;
  }

  /** Breaks everything off and waits until it has ended. */
  async close(): Promise<void> {
    const all = [...this.#flights.values()];
    for (const flight of all) flight.abort.abort(new Error("the image cache is stopping"));
    await Promise.allSettled(all.map((flight) => flight.result));
  }

  async #board(key: string, signal: AbortSignal, work: Work<P, R>): Promise<Flight<P, R>> {
    signal.throwIfAborted();
    for (let there = this.#flights.get(key); there !== undefined; there = this.#flights.get(key)) {
      if (!there.abort.signal.aborted) {
        there.waiting++;
        return there;
      }
      // One that was broken off must be over, files closed and all, before the next begins.
      await there.result.catch(() => undefined);
    }
    return this.#start(key, work);
  }

  #start(key: string, work: Work<P, R>): Flight<P, R> {
    const abort = new AbortController();
    const wake = new Set<() => void>();
    const changed = () => {
      for (const listener of wake) listener();
    };
    const report = (progress: P) => {
      flight.progress = progress;
      changed();
    };
    const run = async () => {
      try {
        return await work(report, abort.signal);
      } finally {
        flight.settled = true;
        this.#flights.delete(key);
        // After this function's promise has settled.
        queueMicrotask(changed);
      }
    };
    // Begins a little later, so that `flight` is there when it does.
    const result = Promise.resolve().then(run);
    result.catch(() => undefined);
    const flight: Flight<P, R> = { result, abort, wake, waiting: 1, progress: undefined, settled: false };
    this.#flights.set(key, flight);
    return flight;
  }
}
