import { onAbort } from "../../lib/runtime/abort.ts";

interface Flight<P, R> {
  readonly result: Promise<R>;
  readonly abort: AbortController;
  readonly listeners: Set<() => void>;
  callers: number;
  progress: P | undefined;
  hasEnded: boolean;
}

/** Does the work of a flight: reports progress, and stops when `signal` aborts. */
export type Work<P, R> = (report: (progress: P) => void, signal: AbortSignal) => Promise<R>;

/**
 * Runs work once for all callers that need it at the same time. Each caller gets progress and result. The
 * work is aborted when no caller is left.
 */
export class Flights<P, R> {
  readonly #flights = new Map<string, Flight<P, R>>();

  /**
   * Joins the flight of `key`, or begins one. Yields progress, only the latest for a slow caller, and
   * returns the result.
   *
   * @throws what the work throws, or the signal's reason
   */
  async *join(key: string, signal: AbortSignal, work: Work<P, R>): AsyncGenerator<P, R, void> {
    const flight = await this.#enter(key, signal, work);
    let wake = (): void => {};
    const onChange = () => wake();
    flight.listeners.add(onChange);
    using _ = onAbort(signal, onChange);
    let last: P | undefined;
    try {
      for (;;) {
        signal.throwIfAborted();
        if (flight.hasEnded) return await flight.result;
        if (flight.progress !== undefined && flight.progress !== last) {
          last = flight.progress;
          yield last;
          continue;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
    } finally {
      flight.listeners.delete(onChange);
      flight.callers--;
      if (flight.callers === 0 && !flight.hasEnded) flight.abort.abort(new Error("no caller is left"));
    }
  }

  async wait(key: string, signal: AbortSignal, work: Work<P, R>): Promise<R> {
    const steps = this.join(key, signal, work);
    for (;;) {
      const step = await steps.next();
      if (step.done) return step.value;
    }
  }

  get size(): number {
    return this.#flights.size;
  }

  /** Aborts all flights and waits for their ends. */
  async close(): Promise<void> {
    const all = [...this.#flights.values()];
    for (const flight of all) flight.abort.abort(new Error("the image cache is stopping"));
    await Promise.allSettled(all.map((flight) => flight.result));
  }

  async #enter(key: string, signal: AbortSignal, work: Work<P, R>): Promise<Flight<P, R>> {
    signal.throwIfAborted();
    for (let flight = this.#flights.get(key); flight !== undefined; flight = this.#flights.get(key)) {
      if (!flight.abort.signal.aborted) {
        flight.callers++;
        return flight;
      }
      // An aborted flight must have closed its files before the next begins.
      await flight.result.catch(() => undefined);
    }
    return this.#start(key, work);
  }

  #start(key: string, work: Work<P, R>): Flight<P, R> {
    const abort = new AbortController();
    const listeners = new Set<() => void>();
    const notify = () => {
      for (const listener of listeners) listener();
    };
    const report = (progress: P) => {
      flight.progress = progress;
      notify();
    };
    const run = async () => {
      try {
        return await work(report, abort.signal);
      } finally {
        flight.hasEnded = true;
        this.#flights.delete(key);
        // After the promise of this function has settled.
        queueMicrotask(notify);
      }
    };
    // Begins when `flight` is defined.
    const result = Promise.resolve().then(run);
    result.catch(() => undefined);
    const flight: Flight<P, R> = {
      ...{ result, abort, listeners, callers: 1 },
      ...{ progress: undefined, hasEnded: false },
    };
    this.#flights.set(key, flight);
    return flight;
  }
}
