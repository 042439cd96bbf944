import { Fault } from "../faults/fault.ts";
import { abortable, onAbort } from "./abort.ts";

/** How a wait keeps the process. */
export interface SleepOptions {
  /** Whether the timer keeps the process alive. Default: true. */
  readonly ref?: boolean;
}

/** Waits; resolves early, without an error, when `signal` aborts. */
export async function sleep(ms: number, signal?: AbortSignal, options: SleepOptions = {}): Promise<void> {
  if (signal?.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  if (options.ref === false) timer.unref();
  using _ = onAbort(signal, resolve);
  await promise;
  clearTimeout(timer);
}

/** Whether `work` ends within `ms`; a failure counts as an end. When `signal` aborts first, the answer is false. */
export async function endsWithin(ms: number, work: Promise<unknown>, signal?: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const ended = () => resolve(true);
  work.then(ended, ended);
  const timer = setTimeout(() => resolve(false), ms).unref();
  using _ = onAbort(signal, () => resolve(false));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** A time limit for some work. Dispose of it when the work has ended: `AbortSignal.timeout` would keep its timer. */
export class TimeLimit implements Disposable {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #listener: Disposable;
  #isOver = false;

  /** @param reason makes the reason of the abort when the time is over; default: a TimeoutError */
  constructor(ms: number, signal?: AbortSignal, reason: () => unknown = () => timeoutError(ms)) {
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.abort(reason());
    }, ms);
    this.#listener = onAbort(signal, () => this.abort(signal?.reason));
  }

  /** Aborts when the time is over, with the reason of the signal that the limit was made from, or by {@link abort}. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Whether the time is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Aborts before the time is over. */
  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }

  /** Lets the timer not keep the process alive. */
  unref(): this {
    this.#timer.unref();
    return this;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#listener[Symbol.dispose]();
  }
}

/**
 * Gives `work` at most `ms` milliseconds; its signal aborts when they are over or `signal` does.
 *
 * @throws Fault DEADLINE_EXCEEDED / `DEADLINE_EXCEEDED` naming `what` when the time is over; the abort's fault when aborted
 */
export async function within<T>(
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  using limit = new TimeLimit(ms, signal, () => overdue(what, ms));
  return await abortable(work(limit.signal), limit.signal);
}

/**
 * Iterates `source` until it ends or `signal` aborts; an abort throws its reason at once, even while `source` is
 * busy and ignores the signal. In every case `source` is asked to return, without waiting for it.
 */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  // One listener for all items: racing each with one long-lived promise would add a reaction per item to it.
  let interrupt: (() => void) | undefined;
  using _ = onAbort(signal, () => interrupt?.());
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        interrupt = () => reject(signal.reason);
        iterator.next().then(resolve, reject);
      });
      if (next.done) return;
      yield next.value;
    }
  } finally {
    iterator.return?.().then(undefined, () => {});
  }
}

function timeoutError(ms: number): DOMException {
  return new DOMException(`it took longer than ${ms} ms`, "TimeoutError");
}

function overdue(what: string, ms: number): Fault {
  return new Fault("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", `${what} took longer than ${ms} ms`, {
    what,
    timeout_ms: String(ms),
  });
}
